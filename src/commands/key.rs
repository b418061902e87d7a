use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{Error, Outcome};
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::config::trust_file;
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{AccountId, GroupId, KeyId};
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
    /// Puts a person's public key into a trust document (TOML), for instance one made in the browser; then `sign-trust`.
    Grant(Box<GrantArgs>),
    /// Takes a key out of a trust document (TOML); then `sign-trust`.
    Revoke {
        #[arg(long)]
        trust: PathBuf,
        /// The id of the key.
        id: KeyId,
    },
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

#[derive(clap::Args)]
struct GrantArgs {
    /// The trust document; it is written anew with the next version, without its comments.
    #[arg(long)]
    trust: PathBuf,
    /// Whose key it is. Holders count, not keys: two keys of one person are one.
    #[arg(long)]
    holder: String,
    /// The person apart from their name (a-z, 0-9, - _ .): for people whose names look alike.
    #[arg(long)]
    account: Option<AccountId>,
    /// The public key, as the page or `loaxa key show` shows it.
    #[arg(long)]
    public: PublicKey,
    /// What it may do: normal, priority, emergency, exercise, live, cancel, programme, policy, groups, test.
    #[arg(long, required = true, value_delimiter = ',', value_parser = power)]
    powers: Vec<Power>,
    /// To whom.
    #[arg(long, required = true, value_delimiter = ',', value_name = "GROUP")]
    groups: Vec<GroupId>,
    /// 0 province, 1 commune, 2 village.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    level: u8,
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
        Action::Grant(args) => grant(*args)?,
        Action::Revoke { trust, id } => edit(&trust, |document| {
            let before = document.grants.len();
            document.grants.retain(|grant| grant.key != id);
            if document.grants.len() == before { Err(format!("there is no key {id}").into()) } else { Ok(()) }
        })?,
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

fn grant(args: GrantArgs) -> Result<(), Error> {
    let GrantArgs { trust, holder, account, public, powers, groups, level } = args;
    let key = public.key_id();
    edit(&trust, |document| {
        if document.grants.iter().any(|grant| grant.key == key) {
            return Err(format!("key {key} is there already; revoke it first").into());
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
fn edit(path: &Path, change: impl FnOnce(&mut Trust) -> Result<(), Error>) -> Result<(), Error> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| of(&error))?;
    let mut trust = trust_file::parse(&text).map_err(|error| of(&error))?;
    change(&mut trust)?;
    trust.version += 1;
    trust_file::check(&trust).map_err(|error| of(&error))?;
    let fresh = path.with_extension("toml.new");
    std::fs::write(&fresh, trust_file::print(&trust)).map_err(|error| of(&error))?;
    std::fs::rename(&fresh, path).map_err(|error| of(&error))?;
    println!("wrote {}: version {}, {} keys", path.display(), trust.version, trust.grants.len());
    println!("next: loaxa key sign-trust, on the machine that has the root key; then restart central");
    Ok(())
}

/// A power by its name in the trust document.
fn power(text: &str) -> Result<Power, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
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
