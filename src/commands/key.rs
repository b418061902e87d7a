use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::Outcome;
use crate::adapters::keys::KeyFile;
use crate::config::trust_file;
use crate::wire::codec;
use crate::wire::messages::{TrustMessage, VERSION};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Makes a new signing key in a file that only you may read.
    New {
        /// The file; it must not be there yet.
        #[arg(long, default_value = "loaxa.key")]
        out: PathBuf,
        /// Whose key it is.
        #[arg(long)]
        holder: Option<String>,
    },
    /// Shows the public half of a key, which others may know.
    Show { file: PathBuf },
    /// Signs a trust document (TOML) with the root key: who may say what to whom.
    SignTrust {
        #[arg(long)]
        root: PathBuf,
        #[arg(long)]
        trust: PathBuf,
        /// Where the signed document goes; it replaces an older one.
        #[arg(long)]
        out: PathBuf,
    },
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::New { out, holder } => {
            let made = KeyFile::generate(holder.as_deref())?;
            made.write_new(&out)?;
            println!("wrote {}: keep it secret, and keep a copy in a safe place", out.display());
            show(&made);
        }
        Action::Show { file } => show(&KeyFile::read(&file)?),
        Action::SignTrust { root, trust, out } => sign_trust(&root, &trust, &out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(file: &KeyFile) {
    if let Some(holder) = &file.holder {
        println!("holder  {holder}");
    }
    println!("id      {}\npublic  {}", file.key.key_id(), file.key.public());
}

fn sign_trust(root: &Path, trust: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let of = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let root = KeyFile::read(root)?;
    let text = std::fs::read_to_string(trust).map_err(|error| of(trust, &error))?;
    let trust = trust_file::parse(&text).map_err(|error| of(trust, &error))?;
    let message = TrustMessage { v: VERSION, trust };
    std::fs::write(out, codec::seal(&message, &[&root.key])).map_err(|error| of(out, &error))?;
    let (version, keys) = (message.trust.version, message.trust.grants.len());
    println!("wrote {}: version {version}, {keys} keys, signed by {}", out.display(), root.key.key_id());
    Ok(())
}
