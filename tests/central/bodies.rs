//! Bodies of requests that are no JSON, or say what nobody understands: the answer says what is wrong, in both languages.

use crate::support::commune::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_can_not_be_read_is_answered_in_both_languages() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let json = "application/json";
    for path in [
        "programmes",
        "policies",
        "local-emergencies",
        "prepared",
        "groups",
        "enrolments",
        "enrol",
        "drafts/none/signatures",
    ] {
        let path = format!("/api/v1/{path}");
        for (content_type, body, status, says) in [
            (json, "{", 400, "JSON"),
            (json, "[1, 2]", 422, "JSON"),
            (json, r#"{"to": 7, "code_key": 7}"#, 422, "JSON"),
            ("text/plain", "{}", 415, "application/json"),
        ] {
            let answer = post(&central, &path, content_type, body.into()).await;
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
            let told = answer.json();
            let [en, vi] = ["error", "error_vi"].map(|key| told[key].as_str().unwrap_or_default().to_owned());
            assert!(en.contains(says) && vi.contains(says) && en != vi, "{path} {body}: {told}");
            assert!(vi.contains("không") || vi.contains("hãy"), "{vi}");
        }
    }
    central.stop().await;
}
