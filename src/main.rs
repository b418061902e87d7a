mod commands;

use std::process::ExitCode;

use loaxa_heart::texts::Tables;

/// Sentences of the command line.
static TEXTS: Tables =
    Tables::new(include_str!("commands/texts/vi.toml"), include_str!("commands/texts/en.toml"));

fn main() -> ExitCode {
    commands::main()
}
