//! `loaxa groups`: which box is in which group.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::Outcome;
use super::client::{CentralArgs, text};
use loaxa_heart::domain::ids::{BoxId, GroupId};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Moves boxes, and tells every box where it belongs.
    Send {
        /// A box and its groups from now on, for instance loa-1=thon-2; groups above them are added.
        #[arg(value_name = "BOX=GROUP[,GROUP]", value_parser = member)]
        members: Vec<(BoxId, Vec<GroupId>)>,
        /// Who wrote it.
        #[arg(long)]
        author: Option<String>,
        /// Who approved it.
        #[arg(long)]
        approver: Option<String>,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    let Action::Send { members, author, approver, central } = args.action;
    let members: BTreeMap<_, _> = members.into_iter().collect();
    let body = json!({ "members": members, "author": author, "approver": approver });
    let answer = central.client()?.post("groups", "application/json", body.to_string().as_bytes())?;
    let said = central.lang.pick("đã gửi danh sách nhóm, bản", "sent the groups, version");
    println!("{said} {} ({})", text(&answer["version"]), text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}

fn member(text: &str) -> Result<(BoxId, Vec<GroupId>), String> {
    let (id, groups) = text.split_once('=').ok_or("write BOX=GROUP, for instance loa-1=thon-2")?;
    let id = id.parse().map_err(|error| format!("{id:?}: {error}"))?;
    let group = |name: &str| name.parse().map_err(|error| format!("{name:?}: {error}"));
    Ok((id, groups.split(',').map(group).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &[&str])>) {
        let found = member(text).ok();
        let expected = expected.map(|(id, groups)| {
            (id.parse().unwrap(), groups.iter().map(|group| group.parse().unwrap()).collect::<Vec<GroupId>>())
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_move_is_written_as_box_and_groups() {
        check("loa-1=thon-2", Some(("loa-1", &["thon-2"])));
        check("loa-1=thon-2,truong-hoc", Some(("loa-1", &["thon-2", "truong-hoc"])));
        check("loa-1", None);
        check("loa-1=", None);
        check("Loa=thon-2", None);
    }
}
