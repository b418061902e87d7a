//! `loaxa groups`: which box is in which group.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{CentralArgs, print_table, text};
use super::language::{Outcome, tell, words};
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    central: CentralArgs,
}

#[derive(Subcommand)]
enum Action {
    Send {
        #[arg(value_name = "BOX=GROUP[,GROUP]", value_parser = member)]
        members: Vec<(BoxId, Vec<GroupId>)>,
        #[arg(long)]
        author: Option<String>,
        #[arg(long)]
        approver: Option<String>,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    let Some(Action::Send { members, author, approver, central }) = args.action else {
        return list(&args.central, args.json);
    };
    let members: BTreeMap<_, _> = members.into_iter().collect();
    let body = json!({ "members": members, "author": author, "approver": approver });
    let answer = central.client()?.post("groups", "application/json", body.to_string().as_bytes())?;
    tell!("groups.sent", version = text(&answer["version"]), id = text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}

/// Shows the groups, each with the boxes that hear what is sent to it.
fn list(central: &CentralArgs, json: bool) -> Outcome {
    let groups = central.client()?.get("groups", &[])?;
    if json {
        println!("{}", serde_json::to_string_pretty(&groups)?);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |group: &Value| {
        let boxes = group["boxes"].as_array().map_or(&[][..], Vec::as_slice);
        let titles: Vec<_> = boxes.iter().map(|it| text(&it["title"])).collect();
        let parent = text(&group["parent"]);
        vec![
            text(&group["id"]),
            text(&group["title"]),
            if parent.is_empty() { "-".to_owned() } else { parent },
            boxes.len().to_string(),
            if titles.is_empty() { words(said!("groups.empty")) } else { titles.join(", ") },
        ]
    };
    print_table("groups", &groups.as_array().into_iter().flatten().map(row).collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn member(text: &str) -> Result<(BoxId, Vec<GroupId>), Sentence> {
    let (id, groups) = text.split_once('=').ok_or_else(|| said!("groups.form"))?;
    let id = id.parse::<BoxId>().map_err(|error| error.say())?;
    let group = |name: &str| name.parse::<GroupId>().map_err(|error| error.say());
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
