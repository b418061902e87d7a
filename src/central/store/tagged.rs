//! Enums that carry data, as two columns: the word that says which one it is, and the rest as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Takes a value apart: the word under `tag`, and its other fields as JSON, `None` where it has none.
pub fn apart<T: Serialize>(tag: &str, value: &T) -> (String, Option<String>) {
    let mut fields = serde_json::to_value(value).expect("rows are JSON: their map keys are texts");
    let word = fields.as_object_mut().and_then(|fields| fields.remove(tag));
    let word = word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let has_more = fields.as_object().is_some_and(|fields| !fields.is_empty());
    (word, has_more.then(|| fields.to_string()))
}

/// Puts a value together again.
///
/// # Errors
/// Fails when there is no such word, or the rest is not what belongs to it.
pub fn together<T: DeserializeOwned>(
    tag: &str,
    word: &str,
    rest: Option<&str>,
) -> Result<T, serde_json::Error> {
    let mut fields: Value = serde_json::from_str(rest.unwrap_or("{}"))?;
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(tag.to_owned(), word.into());
    }
    serde_json::from_value(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::announcement::Rung;
    use loaxa_heart::domain::playback::PlayOutcome;

    fn check(outcome: PlayOutcome, word: &str, rest: Option<&str>) {
        let apart = apart("outcome", &outcome);
        assert_eq!((apart.0.as_str(), apart.1.as_deref()), (word, rest));
        assert_eq!(together::<PlayOutcome>("outcome", word, rest).unwrap(), outcome);
    }

    #[test]
    fn what_was_taken_apart_is_put_together_again() {
        check(PlayOutcome::Finished, "finished", None);
        check(
            PlayOutcome::Interrupted { by: Rung::Emergency },
            "interrupted",
            Some("{\"by\":\"emergency\"}"),
        );
        assert!(together::<PlayOutcome>("outcome", "from_the_future", None).is_err());
        assert!(together::<PlayOutcome>("outcome", "interrupted", None).is_err());
    }
}
