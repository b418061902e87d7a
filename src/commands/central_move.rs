//! `loaxa central move-to`: carries a database in a file over to a PostgreSQL server, while central is stopped.

use std::path::PathBuf;
use std::process::ExitCode;

use loaxa_central::store::sql::moving::{Step, move_to};
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file;
use loaxa_heart::config::store_file::{Database, PostgresServer};
use loaxa_heart::said;

use super::language::{Failure, Outcome, tell};

#[derive(clap::Args)]
pub struct Args {
    server: String,
    #[arg(long)]
    ca: Option<PathBuf>,
    #[arg(long)]
    password_file: Option<PathBuf>,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

pub fn run(args: Args) -> Outcome {
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    let Some(file) = config.database.file() else {
        return Err(Failure(said!("move.on_server")));
    };
    let server = PostgresServer { url: args.server, ca: args.ca, password_file: args.password_file };
    let server = Database::of_server(server).map_err(Failure)?;
    let moved = move_to(file, &server, &say)?;
    if moved.was_there {
        tell!("move.was_there");
    }
    let Database::Postgres(server) = server else { return Ok(ExitCode::SUCCESS) };
    tell!("move.done", rows = moved.rows, logs = moved.logs, entries = moved.entries);
    tell!("move.configure", path = args.config.display());
    println!("    [store]\n    url = \"{}\"", server.url);
    for (key, path) in [("password_file", server.password_file), ("ca", server.ca)] {
        if let Some(path) = path {
            println!("    {key} = \"{}\"", path.display());
        }
    }
    tell!("move.file", path = file.display());
    Ok(ExitCode::SUCCESS)
}

/// Says how far it is; of a large table a line now and then.
fn say(step: Step) {
    match step {
        Step::Sent { table, rows, of } if rows == of || rows.is_multiple_of(200_000) => {
            tell!("move.sent", table, rows, of);
        }
        Step::Compared { logs, of } if logs == of || logs.is_multiple_of(100) => {
            tell!("move.compared", logs, of);
        }
        _ => {}
    }
}
