//! People: accounts, their roles, and the links by which they come in.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, ContentHash, GroupId};
use loaxa_heart::domain::time::Wall;

/// A kind of work that a person does for a group and those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes notices and programmes.
    Writer,
    /// Approves what others wrote.
    Approver,
    /// Airs emergencies, together with a second duty officer, and ends them.
    Duty,
    /// Reads logs and reports.
    Reviewer,
    /// Installs boxes and keeps them working.
    Technician,
    /// Invites people and gives roles.
    Administrator,
}

impl Role {
    pub const ALL: [Role; 6] =
        [Role::Writer, Role::Approver, Role::Duty, Role::Reviewer, Role::Technician, Role::Administrator];

    /// The word in the database, in forms and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Role::Writer => "writer",
            Role::Approver => "approver",
            Role::Duty => "duty",
            Role::Reviewer => "reviewer",
            Role::Technician => "technician",
            Role::Administrator => "administrator",
        }
    }

    /// Tells whether only a second factor opens what the role may do.
    pub const fn needs_second_factor(self) -> bool {
        matches!(self, Role::Approver | Role::Duty | Role::Administrator)
    }

    /// Tells whether a second administrator has to confirm that a person gets the role.
    pub const fn needs_confirmation(self) -> bool {
        matches!(self, Role::Duty | Role::Administrator)
    }
}

/// A role of a person for a group, with who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRow {
    /// A number that the store gives.
    pub id: i64,
    pub person: AccountId,
    pub role: Role,
    pub group: GroupId,
    pub asked_by: Option<AccountId>,
    pub asked: Wall,
    pub confirmed_by: Option<AccountId>,
    /// The role holds from then on; `None` waits for a second administrator.
    pub good_from: Option<Wall>,
    pub ended: Option<Wall>,
}

impl RoleRow {
    /// Tells whether the role holds at `now`.
    pub fn holds(&self, now: Wall) -> bool {
        self.ended.is_none() && self.good_from.is_some_and(|from| from <= now)
    }

    /// Tells whether the role is neither in force nor ended.
    pub fn waits(&self, now: Wall) -> bool {
        self.ended.is_none() && self.good_from.is_none_or(|from| from > now)
    }
}

/// A person as the store keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The name by which they sign in, and by which the trust document knows them.
    pub id: AccountId,
    pub name: String,
    /// A telephone number or an e-mail address.
    pub reach: String,
    /// The password's hash in PHC form; `None` until the invitation is taken.
    pub password: Option<String>,
    /// The secret of the time-based codes.
    pub totp: Option<Vec<u8>>,
    /// Recovery codes that were not used yet.
    pub recovery_left: u32,
    pub made: Wall,
    pub left: Option<Wall>,
    /// All roles, those that have ended too, in the order in which they were given.
    pub roles: Vec<RoleRow>,
}

impl PersonRow {
    /// Tells whether one of the roles in force needs a second factor.
    pub fn needs_second_factor(&self, now: Wall) -> bool {
        self.roles.iter().any(|row| row.holds(now) && row.role.needs_second_factor())
    }
}

/// The purpose of a one-time link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFor {
    /// Makes the first administrator.
    First,
    /// Lets an invited person choose a password.
    Invitation,
    /// Lets a person who lost the password choose another; their telephone is asked for as before.
    Recovery,
    /// Lets a person who lost the telephone begin anew.
    NewPhone,
}

/// A one-time link; the store keeps the SHA-256 of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    pub code: ContentHash,
    pub purpose: LinkFor,
    /// `None` for the first administrator, who has no account yet.
    pub person: Option<AccountId>,
    /// The administrator who made it; `None` for one of the server's keyboard.
    pub asked_by: Option<AccountId>,
    /// The link works from then on.
    pub good_from: Wall,
    pub expires: Wall,
}

/// Accounts and roles. Every change carries the act that the audit trail keeps with it.
pub trait People: Send + Sync {
    /// Adds a person without password and roles; false where the account exists.
    fn add_person(&self, person: PersonRow, act: NewAct) -> Answer<'_, bool>;

    /// Finds a person, also one who has left.
    fn person(&self, id: AccountId) -> Answer<'_, Option<PersonRow>>;

    /// Lists all people by name, those who have left last.
    fn people(&self) -> Answer<'_, Vec<PersonRow>>;

    /// Changes name and address of a person.
    fn rename_person(&self, id: AccountId, name: String, reach: String, act: NewAct) -> Answer<'_, ()>;

    /// Keeps a password's hash.
    fn set_password(&self, id: AccountId, hash: String, act: NewAct) -> Answer<'_, ()>;

    /// Keeps the secret of time-based codes with the hashes of new recovery codes, or forgets both
    /// together with the passkeys.
    fn set_second_factor(
        &self,
        id: AccountId,
        totp: Option<Vec<u8>>,
        recovery: Vec<ContentHash>,
        act: NewAct,
    ) -> Answer<'_, ()>;

    /// Uses up a time step of a person's codes; false where it, or a later one, was used before.
    fn use_totp_step(&self, id: AccountId, step: u64) -> Answer<'_, bool>;

    /// Uses up a recovery code; false where there is none.
    fn use_recovery_code(&self, id: AccountId, code: ContentHash, act: NewAct) -> Answer<'_, bool>;

    /// Gives a role; false where the person has it, or waits for it, already.
    fn give_role(&self, role: RoleRow, act: NewAct) -> Answer<'_, bool>;

    /// Confirms a role that waits; false where it does not wait for a confirmation, or `by` asked for it.
    fn confirm_role(&self, id: i64, by: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Ends a role; false where it has ended.
    fn end_role(&self, id: i64, at: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Ends everything that a person may: roles, sessions, links, and the tokens that they answer for. False where they have left before.
    fn leave(&self, id: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Keeps a link in place of the person's earlier ones.
    fn add_link(&self, link: LinkRow, act: Option<NewAct>) -> Answer<'_, ()>;

    /// Finds a link that is still good.
    fn link(&self, code: ContentHash, now: Wall) -> Answer<'_, Option<LinkRow>>;

    /// Finds the link of a person that works later.
    fn waiting_link(&self, person: AccountId, now: Wall) -> Answer<'_, Option<LinkRow>>;

    /// Lets a waiting link work at once; false where there is none, or `by` made it or is the person.
    fn confirm_link(&self, person: AccountId, by: AccountId, now: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Takes a person's link back; false where there is none.
    fn drop_link(&self, person: AccountId, act: NewAct) -> Answer<'_, bool>;

    /// Uses up a link; false where somebody was faster, or it is over.
    fn use_link(&self, code: ContentHash, now: Wall) -> Answer<'_, bool>;
}
