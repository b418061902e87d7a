//! The steps that commands have reached with boxes.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{json, name};
use super::engine::{Connection, Result, Row};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::ids::{BoxId, CommandId};

/// Reads how far these commands have come with these boxes, asking for many at once: of a command for its boxes, and of a box for
/// the commands that it alone names.
pub fn steps(
    db: &Connection,
    of: &BTreeMap<&CommandId, BTreeSet<&BoxId>>,
) -> Result<BTreeMap<(CommandId, BoxId), Step>> {
    let (shared, own): (Vec<_>, Vec<_>) = of.iter().partition(|(_, boxes)| boxes.len() > 1);
    let boxes: BTreeSet<_> = shared.iter().flat_map(|(_, boxes)| *boxes).collect();
    let (shared, own) =
        if shared.len() > boxes.len() { (Vec::new(), of.iter().collect()) } else { (shared, own) };
    let mut by_box: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (command, boxes) in own {
        boxes.iter().for_each(|id| by_box.entry(*id).or_default().push(*command));
    }
    let mut found = BTreeMap::new();
    let mut take = |rows: Rows<'_>| -> Result<()> {
        for row in rows {
            let (of, code) = row?;
            found.extend(code.and_then(|code| Step::from_code(&code)).map(|step| (of, step)));
        }
        Ok(())
    };
    // Each is looked up by its whole key: by the command alone, a server would go through all its boxes each time.
    let mut query = db.prepare_cached(
        "SELECT ?1 AS command, value AS box, (SELECT step FROM deliveries WHERE command = ?1 AND box = value) AS step
         FROM json_each(?2)",
    )?;
    for (command, boxes) in shared {
        take(&mut query.query_map([command.as_str(), &json(boxes)], step)?)?;
    }
    let mut query = db.prepare_cached(
        "SELECT value AS command, ?1 AS box, (SELECT step FROM deliveries WHERE command = value AND box = ?1) AS step
         FROM json_each(?2)",
    )?;
    for (id, commands) in by_box {
        take(&mut query.query_map([id.as_str(), &json(&commands)], step)?)?;
    }
    Ok(found)
}

/// Deliveries that were asked for, each with the code of its step where it is there.
type Rows<'q> = &'q mut dyn Iterator<Item = Result<((CommandId, BoxId), Option<String>)>>;

fn step(row: &Row) -> Result<((CommandId, BoxId), Option<String>)> {
    Ok(((name(row, "command")?, name(row, "box")?), row.get("step")?))
}
