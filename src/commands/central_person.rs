//! `loaxa central person`: people by whoever holds the server's keyboard. They lie in central's database, which may be
//! running.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{People, PersonRow, Role};
use loaxa_central::{Newcomer, console};

use super::client::print_table;
use super::language::{Failure, Outcome, complain, words};
use loaxa_adapters::clock;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file::{self, CentralConfig};
use loaxa_heart::domain::ids::{AccountId, GroupId};
use loaxa_heart::said;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Add {
        account: String,
        #[arg(long)]
        name: String,
        #[arg(long, default_value = "")]
        reach: String,
        #[arg(long, value_enum)]
        role: Vec<Work>,
        #[arg(long)]
        group: Option<GroupId>,
        #[command(flatten)]
        central: Central,
    },
    Link {
        account: AccountId,
        #[command(flatten)]
        central: Central,
    },
    List {
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
enum Work {
    Writer,
    Approver,
    Duty,
    Reviewer,
    Technician,
    Administrator,
}

impl From<Work> for Role {
    fn from(work: Work) -> Self {
        match work {
            Work::Writer => Role::Writer,
            Work::Approver => Role::Approver,
            Work::Duty => Role::Duty,
            Work::Reviewer => Role::Reviewer,
            Work::Technician => Role::Technician,
            Work::Administrator => Role::Administrator,
        }
    }
}

impl Central {
    fn open(&self) -> Result<(CentralConfig, SqlStore), Failure> {
        let config = central_file::read(&self.config, NamedFiles::Unseen)?;
        let store = SqlStore::open_at(&config.database, None)?;
        Ok((config, store))
    }
}

pub fn run(args: Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        match args.action {
            Action::Add { account, name, reach, role, group, central } => {
                add(&central, Newcomer { account, name, reach }, &role, group).await
            }
            Action::Link { account, central } => link(&central, &account).await,
            Action::List { central } => list(&central).await,
        }
    })
}

async fn add(central: &Central, newcomer: Newcomer, work: &[Work], group: Option<GroupId>) -> Outcome {
    let (config, store) = central.open()?;
    let group = group.unwrap_or_else(|| config.group.clone());
    if !config.groups.iter().any(|known| known.id == group) {
        return Err(said!("person.no_such_group", group).into());
    }
    let roles: Vec<(Role, GroupId)> = work.iter().map(|work| (Role::from(*work), group.clone())).collect();
    let id = console::add_person(&store, newcomer, &roles, clock::wall()).await.map_err(refused)?;
    say_link(&config, &store, &id).await
}

fn refused(error: impl loaxa_heart::texts::Say) -> Failure {
    error.say().into()
}

async fn link(central: &Central, id: &AccountId) -> Outcome {
    let (config, store) = central.open()?;
    say_link(&config, &store, id).await
}

/// Prints the link by which a person chooses a password, once.
async fn say_link(config: &CentralConfig, store: &SqlStore, id: &AccountId) -> Outcome {
    let code = console::link(store, id, clock::wall()).await.map_err(refused)?;
    let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}/", config.listen));
    complain!("person.link", id);
    println!("{}/moi/{code}", base.trim_end_matches('/'));
    Ok(ExitCode::SUCCESS)
}

async fn list(central: &Central) -> Outcome {
    let (_, store) = central.open()?;
    let now = clock::wall();
    let people = store.people().await?;
    let cells = people.iter().map(|person| {
        let roles = person.roles.iter().filter(|row| row.holds(now));
        let roles =
            roles.map(|row| format!("{} {}", row.role.code(), row.group)).collect::<Vec<_>>().join(", ");
        vec![person.id.to_string(), person.name.clone(), roles, words(state(person))]
    });
    print_table("person", &cells.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn state(person: &PersonRow) -> loaxa_heart::texts::Sentence {
    match (person.left, &person.password, &person.totp) {
        (Some(_), _, _) => said!("person.has_left"),
        (None, None, _) => said!("person.not_come"),
        (None, Some(_), None) => said!("person.no_phone"),
        (None, Some(_), Some(_)) => said!("person.in_order"),
    }
}
