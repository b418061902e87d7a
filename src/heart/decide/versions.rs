//! Versions of documents: which of two takes the place of the other.
//!
//! Versions are counted by those who sign. A key of one village may send documents to it, but the number that it chooses
//! keeps nothing away that comes from those above it.

use crate::domain::authority::{Power, Trust};
use crate::domain::ids::KeyId;
use crate::domain::playback::CommandRefusal;

/// The version of a document and the keys that signed it; none signed what the installer wrote.
#[derive(Debug, Clone, Copy)]
pub struct Edition<'a> {
    pub version: u32,
    pub signers: &'a [KeyId],
}

/// Checks that a document takes the place of the one that is held: it is newer, or its signers stand above those of the
/// other.
///
/// # Errors
/// Names both versions.
pub fn check_newer(
    trust: Option<&Trust>,
    power: Power,
    held: Edition,
    offered: Edition,
) -> Result<(), CommandRefusal> {
    let from_above = !held.signers.is_empty()
        && trust.is_some_and(|trust| trust.outranks(offered.signers, held.signers, power));
    if offered.version > held.version || from_above {
        Ok(())
    } else {
        Err(CommandRefusal::Rollback { offered: offered.version, held: held.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::inbox::tests::everything;
    use crate::domain::ids::GroupId;

    fn check(held: (u32, &[&str]), offered: (u32, &[&str]), expected: bool) {
        let mut trust = everything(&["xa", "xa-2", "thon"]);
        let village = GroupId::new("thon-1").unwrap();
        trust.nesting.insert(village.clone(), GroupId::new("xa").unwrap());
        trust.grants[2].groups = [village].into();
        let keys = |names: &[&str]| names.iter().map(|name| KeyId::new(*name).unwrap()).collect::<Vec<_>>();
        let (of_held, of_offered) = (keys(held.1), keys(offered.1));
        let edition = |version, signers| Edition { version, signers };
        let found = check_newer(
            Some(&trust),
            Power::Policy,
            edition(held.0, &of_held),
            edition(offered.0, &of_offered),
        );
        assert_eq!(found.is_ok(), expected, "{held:?} {offered:?}: {found:?}");
    }

    #[test]
    fn no_number_of_a_village_keeps_the_commune_away() {
        check((u32::MAX, &["thon"]), (3, &["xa"]), true);
        check((u32::MAX, &["thon"]), (3, &["thon"]), false);
        check((3, &["xa"]), (3, &["xa-2"]), false);
        check((3, &["xa"]), (4, &["xa-2"]), true);
        check((3, &["xa"]), (3, &["thon"]), false);
        check((3, &["xa"]), (4, &["thon"]), true);
        // What the installer wrote counts by its number.
        check((3, &[]), (3, &["xa"]), false);
        check((3, &[]), (4, &["thon"]), true);
    }
}
