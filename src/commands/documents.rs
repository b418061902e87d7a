//! Documents in force, as central lists them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::{Client, text};
use super::language::Failure;

/// The newest document of each name that begins so, for each set of groups.
///
/// # Errors
/// As [`Client::get`].
pub fn documents(client: &Client, name: &str) -> Result<Vec<Value>, Failure> {
    let all = client.get("documents", &[])?;
    let mut newest: BTreeMap<(String, String), Value> = BTreeMap::new();
    // Central lists a name's versions in their order.
    for document in all.as_array().into_iter().flatten() {
        let of = text(&document["document"]);
        if of.starts_with(name) {
            newest.insert((of, document["groups"].to_string()), document.clone());
        }
    }
    Ok(newest.into_values().collect())
}

/// The groups that a document was sent to.
pub fn groups(document: &Value) -> String {
    document["groups"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

/// The number of boxes that hold a document's version or a newer one, and of those that it is meant for.
pub fn held(document: &Value) -> (usize, usize) {
    let boxes = document["boxes"].as_array().map_or(&[][..], Vec::as_slice);
    let holds = boxes.iter().filter(|row| row["holds"].as_u64() >= document["version"].as_u64());
    (holds.count(), boxes.len())
}
