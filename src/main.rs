use std::process::ExitCode;

fn main() -> ExitCode {
    loaxa::commands::main()
}
