//! Keeps the house: floors, readable files, nothing dead, and every file that we ship valid.

mod dead;
mod faults;
mod imports;
mod prose;
mod routes;
mod rules;
mod shipped;
mod source;

/// Fails with all that breaks `rule`.
fn assert_none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}
