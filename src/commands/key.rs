use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::language::{Failure, Outcome, of_file, tell};
use loaxa_adapters::keys::KeyFile;
use loaxa_adapters::whole_file;
use loaxa_heart::config::trust_file;
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{AccountId, GroupId, KeyId};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::PublicKey;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    New {
        #[arg(long, default_value = "loaxa.key")]
        out: PathBuf,
        #[arg(long)]
        holder: Option<String>,
    },
    Show {
        file: PathBuf,
    },
    Grant(Box<GrantArgs>),
    Revoke {
        #[arg(long)]
        trust: PathBuf,
        id: KeyId,
    },
    SignTrust {
        #[arg(long)]
        root: PathBuf,
        #[arg(long)]
        trust: PathBuf,
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct GrantArgs {
    #[arg(long)]
    trust: PathBuf,
    #[arg(long)]
    holder: String,
    #[arg(long)]
    account: Option<AccountId>,
    #[arg(long)]
    public: PublicKey,
    #[arg(long, required = true, value_delimiter = ',', value_parser = power)]
    powers: Vec<Power>,
    #[arg(long, required = true, value_delimiter = ',', value_name = "GROUP")]
    groups: Vec<GroupId>,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    level: u8,
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::New { out, holder } => {
            let made = KeyFile::generate(holder.as_deref())?;
            made.write_new(&out)?;
            tell!("key.made", path = out.display());
            show(&made);
        }
        Action::Show { file } => show(&KeyFile::read(&file)?),
        Action::Grant(args) => grant(*args)?,
        Action::Revoke { trust, id } => edit(&trust, |document| {
            let before = document.grants.len();
            document.grants.retain(|grant| grant.key != id);
            if document.grants.len() == before { Err(said!("key.none", id).into()) } else { Ok(()) }
        })?,
        Action::SignTrust { root, trust, out } => sign_trust(&root, &trust, &out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(file: &KeyFile) {
    // The words of the key file, which programs read: the same in both languages.
    if let Some(holder) = &file.holder {
        println!("holder  {holder}");
    }
    println!("id      {}\npublic  {}", file.key.key_id(), file.key.public());
}

fn grant(args: GrantArgs) -> Result<(), Failure> {
    let GrantArgs { trust, holder, account, public, powers, groups, level } = args;
    let key = public.key_id();
    edit(&trust, |document| {
        if document.grants.iter().any(|grant| grant.key == key) {
            return Err(said!("key.there", key).into());
        }
        document.grants.push(Grant {
            key,
            public: public.to_string(),
            holder,
            account,
            powers: powers.into_iter().collect(),
            groups: groups.into_iter().collect(),
            level,
            valid_from: None,
            valid_until: None,
        });
        Ok(())
    })
}

/// Changes a trust document and gives it the next version; it is checked before it is written.
fn edit(path: &Path, change: impl FnOnce(&mut Trust) -> Result<(), Failure>) -> Result<(), Failure> {
    let of = |error: &dyn Say| of_file(path, error);
    let text = std::fs::read_to_string(path).map_err(|error| of(&error))?;
    let mut trust = trust_file::parse(&text).map_err(|error| of(&error))?;
    change(&mut trust)?;
    trust.version += 1;
    trust_file::check(&trust).map_err(|error| of(&error))?;
    whole_file::write(path, trust_file::print(&trust).as_bytes(), 0o644).map_err(|error| of(&error))?;
    let (version, keys) = (trust.version, trust.grants.len());
    tell!("key.written", path = path.display(), version, keys);
    tell!("key.next");
    Ok(())
}

/// A power by its name in the trust document.
fn power(text: &str) -> Result<Power, Sentence> {
    serde_json::from_value(text.into()).map_err(|_| said!("key.no_power", text = text.escape_debug()))
}

fn sign_trust(root: &Path, trust: &Path, out: &Path) -> Result<(), Failure> {
    let root = KeyFile::read(root)?;
    let text = std::fs::read_to_string(trust).map_err(|error| of_file(trust, &error))?;
    let trust = trust_file::parse(&text).map_err(|error| of_file(trust, &error))?;
    let message = TrustMessage { v: VERSION, trust };
    std::fs::write(out, codec::seal(&message, &[&root.key])).map_err(|error| of_file(out, &error))?;
    let (version, keys) = (message.trust.version, message.trust.grants.len());
    tell!("key.signed", path = out.display(), version, keys, key = root.key.key_id());
    Ok(())
}
