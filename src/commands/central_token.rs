//! `loaxa central token`: tokens for programs, each with its reach and its end. They lie in central's database, which may be
//! running.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{People, Scope, TokenRow, Tokens};

use super::client::print_table;
use super::language::{Failure, Outcome, complain, foreign, tell, words};
use loaxa_adapters::clock;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file;
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// Longest life of a token.
const DAYS_MAX: u32 = 3_650;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Add {
        name: String,
        #[arg(long, value_enum, default_value = "read")]
        scope: Reach,
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
        days: u32,
        #[arg(long, value_name = "ACCOUNT")]
        owner: AccountId,
        #[command(flatten)]
        central: Central,
    },
    List {
        #[command(flatten)]
        central: Central,
    },
    Revoke {
        name: String,
        #[command(flatten)]
        central: Central,
    },
}

#[derive(clap::Args)]
struct Central {
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Reach {
    Read,
    Announce,
    Admin,
}

impl From<Reach> for Scope {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Read => Scope::Read,
            Reach::Announce => Scope::Announce,
            Reach::Admin => Scope::Admin,
        }
    }
}

impl Central {
    fn store(&self) -> Result<SqlStore, Failure> {
        let config = central_file::read(&self.config, NamedFiles::Unseen)?;
        Ok(SqlStore::open_at(&config.database, None)?)
    }
}

pub fn run(args: Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        match args.action {
            Action::Add { name, scope, days, owner, central } => {
                add(&central, name, scope.into(), days, owner).await
            }
            Action::List { central } => list(&central).await,
            Action::Revoke { name, central } => revoke(&central, name).await,
        }
    })
}

/// Makes a token and prints it, once: only its hash is kept.
async fn add(central: &Central, name: String, scope: Scope, days: u32, owner: AccountId) -> Outcome {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| foreign(&error))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let made = clock::wall();
    let expires = made.plus(Span::secs(u64::from(days) * 24 * 3_600));
    let hash = ContentHash::of(token.as_bytes());
    let store = central.store()?;
    if store.person(owner.clone()).await?.is_none_or(|person| person.left.is_some()) {
        return Err(said!("token.no_owner", owner).into());
    }
    let row = TokenRow { name: name.clone(), hash, scope, made, expires, revoked: None, owner: Some(owner) };
    if !store.add_token(row).await? {
        return Err(said!("token.there_already", name).into());
    }
    complain!("token.made", name, scope = scope.code(), expires);
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

async fn list(central: &Central) -> Outcome {
    let now = clock::wall();
    let rows = central.store()?.tokens().await?;
    let cells = rows.iter().map(|row| {
        let date = |at: Wall| at.local().format("%d/%m/%Y").to_string();
        vec![
            row.name.clone(),
            row.scope.code().to_owned(),
            row.owner.as_ref().map(ToString::to_string).unwrap_or_default(),
            date(row.made),
            date(row.expires),
            words(state(row, now)),
        ]
    });
    print_table("token", &cells.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn state(row: &TokenRow, now: Wall) -> Sentence {
    match row.revoked {
        Some(_) => said!("token.revoked"),
        None if row.is_good(now) => said!("token.good"),
        None => said!("token.expired"),
    }
}

async fn revoke(central: &Central, name: String) -> Outcome {
    if !central.store()?.revoke_token(name.clone(), clock::wall()).await? {
        return Err(said!("token.none", name).into());
    }
    tell!("token.revoked_now", name);
    Ok(ExitCode::SUCCESS)
}
