//! The ends of the centre's own certificates: the authority's, after which boxes and pages find no way in, and that of the page
//! where files bring it.

use crate::settings::{PageTls, Settings};
use loaxa_adapters::certificate::{first_of, validity};
use loaxa_heart::domain::time::{Span, Wall};

/// Time before the end of the authority from which another is to be made, and from which that is urgent.
const AUTHORITY_WANTED: Span = Span::secs(60 * 86_400);
const AUTHORITY_URGENT: Span = Span::secs(30 * 86_400);
/// The same of the page's: those of public authorities last for 90 days, and their programs renew them 30 days before the end.
const PAGE_WANTED: Span = Span::secs(14 * 86_400);

/// Returns the end of the authority that issues now.
pub fn of_authority(settings: &Settings) -> Option<Wall> {
    end_of(settings.enrolment.as_ref()?.ca.certificate.as_bytes())
}

/// Returns the end of the page's certificate, where files bring it.
pub fn of_page(settings: &Settings) -> Option<Wall> {
    let PageTls::Files { certificate, .. } = &settings.page.tls else { return None };
    end_of(&std::fs::read(certificate).ok()?)
}

fn end_of(pem: &[u8]) -> Option<Wall> {
    Some(validity(&first_of(pem)?)?.ends)
}

/// Returns the most urgent of what ends soon, as the word of its trouble with its end.
pub fn worst(settings: &Settings, now: Wall) -> Option<(&'static str, Wall)> {
    judge(of_authority(settings), of_page(settings), now)
}

fn judge(authority: Option<Wall>, page: Option<Wall>, now: Wall) -> Option<(&'static str, Wall)> {
    let within = |ends: Option<Wall>, span| ends.filter(|ends| *ends <= now.plus(span));
    let urgent = within(authority, AUTHORITY_URGENT).map(|ends| ("authority_ends_now", ends));
    let of_page = || within(page, PAGE_WANTED).map(|ends| ("page_certificate_ends", ends));
    let wanted = || within(authority, AUTHORITY_WANTED).map(|ends| ("authority_ends", ends));
    urgent.or_else(of_page).or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_for_people_is_told_first() {
        let now: Wall = "2044-11-01T00:00:00Z".parse().unwrap();
        let days = |days: i64| Some(Wall(now.0 + days * 86_400_000_000));
        let check = |authority: Option<Wall>, page: Option<Wall>, expected: Option<&str>| {
            assert_eq!(judge(authority, page, now).map(|(what, _)| what), expected, "{authority:?} {page:?}");
        };
        check(None, None, None);
        check(days(61), days(15), None);
        check(days(60), None, Some("authority_ends"));
        check(days(30), None, Some("authority_ends_now"));
        check(days(-1), days(-1), Some("authority_ends_now"));
        check(days(60), days(14), Some("page_certificate_ends"));
    }
}
