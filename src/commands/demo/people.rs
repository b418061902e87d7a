//! The staff of the demo's commune, with a password that everybody knows.

use std::path::Path;

use loaxa_central::store::Role;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::{Newcomer, console};

use super::files::COMMUNE;
use crate::commands::language::Failure;
use loaxa_adapters::clock;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::texts::Say;

/// The password of all of them.
pub const PASSWORD: &str = "con-de-lang-minh-1996";

/// Account, name and roles.
const STAFF: [(&str, &str, &[Role]); 6] = [
    ("lan", "Nguyễn Thị Lan", &[Role::Writer]),
    ("duc", "Trần Văn Đức", &[Role::Approver]),
    ("tho", "Lê Văn Thọ", &[Role::Technician]),
    ("truc1", "Phạm Văn Trực", &[Role::Duty]),
    ("truc2", "Hoàng Thị Trực", &[Role::Duty]),
    ("mai", "Đỗ Thị Mai", &[Role::Administrator, Role::Reviewer]),
];

/// Puts them into central's database.
///
/// # Errors
/// Fails when the database can't be opened.
pub fn sign_up(database: &Path) -> Result<(), Failure> {
    let store = SqlStore::open(database)?;
    let now = clock::wall();
    let commune: GroupId = COMMUNE.parse().expect("the commune has a name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let mut people = Vec::new();
        for (account, name, roles) in STAFF {
            let newcomer =
                Newcomer { account: account.to_owned(), name: name.to_owned(), reach: String::new() };
            let roles: Vec<_> = roles.iter().map(|role| (*role, commune.clone())).collect();
            people
                .push(console::add_person(&store, newcomer, &roles, now).await.map_err(|error| error.say())?);
        }
        console::set_passwords(&store, &people, PASSWORD, now).await.map_err(|error| error.say())?;
        Ok(())
    })
}
