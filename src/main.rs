mod commands;

use std::process::ExitCode;

use commands::texts::TEXTS;

fn main() -> ExitCode {
    commands::main()
}
