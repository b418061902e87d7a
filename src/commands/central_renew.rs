//! `loaxa central renew`: what has to change in a database on a server once it was put back to an earlier moment.

use std::path::PathBuf;
use std::process::ExitCode;

use loaxa_adapters::clock;
use loaxa_central::store::sql::backup::renew;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

use super::language::{Failure, Outcome, tell};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    made: Wall,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

pub fn run(args: Args) -> Outcome {
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    if config.database.file().is_some() {
        return Err(Failure(said!("restore.file")));
    }
    let valid = renew(&config.database, args.made, clock::wall())?;
    tell!("restore.done", commune = config.commune, made = args.made.local().format("%d/%m/%Y %H:%M"));
    for one in valid {
        let until = one.expires.local().format("%d/%m %H:%M");
        tell!("restore.still_valid", id = one.id, title = one.title, until);
    }
    tell!("restore.again");
    Ok(ExitCode::SUCCESS)
}
