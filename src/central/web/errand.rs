//! The errand of each request: what must be said goes on where the disk is full, and reports wait only for each other.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::store::{Errand, Reader, at_once};

/// Addresses of what must go on: signing in and out, emergencies, the live voice, signatures and alerts.
const URGENT: [&str; 9] = [
    "/dang-nhap",
    "/thoat",
    "/khan-cap",
    "/fragments/khan-cap",
    "/fragments/goi",
    "/noi-truc-tiep",
    "/sign",
    "/api/v1/drafts",
    "/api/v1/cap",
];
/// Addresses that read much.
const REPORTS: [&str; 6] =
    ["/bao-cao", "/nhat-ky.csv", "/bang-chung", "/api/v1/report", "/api/v1/export", "/api/v1/airings"];

/// Answers a request on its errand.
pub async fn run(request: Request, next: Next) -> Response {
    let errand = errand(request.uri().path());
    match errand.is_urgent {
        true => errand.run(at_once(next.run(request))).await,
        false => errand.run(next.run(request)).await,
    }
}

fn errand(path: &str) -> Errand {
    let is_under = |begins: &&str| path.starts_with(*begins);
    let reader = if REPORTS.iter().any(is_under) { Reader::Reports } else { Reader::Pages };
    Errand { is_urgent: URGENT.iter().any(is_under), reader }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Role;
    use crate::web::doors::Needs;

    /// Pages of duty officers that wait for the database.
    const EVERYDAY: [&str; 3] = ["/dien-tap", "/dien-tap/{id}/huy", "/truc-ban/tap"];

    #[test]
    fn what_officers_and_speakers_alone_may_open_is_urgent() {
        let are_few = |needs: &Needs| match needs {
            Needs::Password => true,
            Needs::Role(roles) => {
                roles.contains(&Role::Duty)
                    && roles.iter().all(|role| matches!(role, Role::Duty | Role::Approver))
            }
            Needs::Nobody | Needs::Person => false,
        };
        let doors = crate::web::page_doors().into_iter();
        let theirs: Vec<_> = doors.filter(|(_, needs)| are_few(needs)).map(|(path, _)| path).collect();
        assert!(theirs.len() > 10, "{theirs:?}");
        for path in theirs {
            assert_eq!(errand(path).is_urgent, !EVERYDAY.contains(&path), "{path}");
        }
    }

    #[test]
    fn a_request_goes_on_the_errand_of_its_address() {
        let check =
            |path: &str, is_urgent, reader| assert_eq!(errand(path), Errand { is_urgent, reader }, "{path}");
        check("/khan-cap/20261126-101010-01020304", true, Reader::Pages);
        check("/fragments/khan-cap/20261126-101010-01020304", true, Reader::Pages);
        check("/thoat", true, Reader::Pages);
        check("/sign", true, Reader::Pages);
        check("/bao-cao.xlsx", false, Reader::Reports);
        check("/api/v1/export", false, Reader::Reports);
        check("/", false, Reader::Pages);
        check("/api/v1/announcements", false, Reader::Pages);
    }
}
