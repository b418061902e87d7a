//! Two versions side by side: what somebody decided on, and what stands there now.

use maud::{Markup, html};

use super::content::places;
use crate::app::App;
use crate::store::{NoticeContent, NoticeRow, NoticeVersion};
use crate::web::frame::{Frame, moment};
use crate::web::local_time::{date_words, time_words};
use crate::web::parts::icon;
use loaxa_heart::said;

/// Draws both versions with what differs marked.
pub fn draw(frame: &Frame, app: &App, seen: Option<&NoticeVersion>, row: &NoticeRow) -> Markup {
    html! {
        section.alarm.k-look.stack aria-labelledby="h2v" role="alert" {
            h2 #h2v { (icon("fix")) " " (frame.tell(&said!("review.changed_meanwhile", title = row.content.title))) }
            p { (frame.say("review.nothing_was_sent")) }
            div.two {
                @if let Some(seen) = seen {
                    div.card.tight {
                        h3 { (frame.say("review.you_read")) }
                        p.mute { (frame.tell(&said!("review.version", version = seen.version, at = moment(seen.at)))) }
                        (one(frame, app, row, &seen.content, &row.content, false))
                    }
                }
                div.card.tight {
                    h3 { (frame.say("review.now")) }
                    p.mute { (frame.tell(&said!("review.version", version = row.version, at = moment(row.changed)))) }
                    (one(frame, app, row, &row.content, seen.map_or(&row.content, |seen| &seen.content), true))
                }
            }
            div.btns { a.btn href={ "/duyet-tin/" (row.id) } { (frame.say("review.read_now")) } }
        }
    }
}

fn one(
    frame: &Frame,
    app: &App,
    row: &NoticeRow,
    content: &NoticeContent,
    other: &NoticeContent,
    is_new: bool,
) -> Markup {
    let mark = |text: &str, differs: bool| match (differs, is_new) {
        (false, _) => html! { (text) },
        (true, false) => html! { del { (text) } },
        (true, true) => html! { ins { (text) } },
    };
    let groups_of =
        |content: &NoticeContent| places(app, &NoticeRow { content: content.clone(), ..row.clone() });
    let when = |content: &NoticeContent| match content.at {
        Some(at) => format!("{}, {}", time_words(at), date_words(at)),
        None => frame.say("compose.soon").to_owned(),
    };
    html! {
        p { b { (mark(&content.title, content.title != other.title)) } }
        p { (mark(&groups_of(content), content.groups != other.groups)) }
        p { (mark(&when(content), content.at != other.at)) " · " (mark(&frame.texts.code("class", &crate::web::words::code_of(&content.class)), content.class != other.class)) }
        p.words { (words(&content.text, &other.text, is_new)) }
        @if content.supersedes != other.supersedes { p { (mark(frame.say("review.replaces_other"), true)) } }
        @if (&content.section, &content.campaign) != (&other.section, &other.campaign) {
            p { (mark(frame.say("review.other_subject"), true)) }
        }
        @if content.responsible != other.responsible { p { (mark(&content.responsible, true)) } }
        @if content.repeat != other.repeat {
            p { (mark(&frame.tell(&said!("review.times", count = content.repeat)), true)) }
        }
        @if content.media != other.media { p { (mark(frame.say("review.other_sound"), true)) } }
    }
}

/// The text with the words marked that the other one does not have, by their longest common sequence.
fn words(text: &str, other: &str, is_new: bool) -> Markup {
    let (ours, theirs): (Vec<&str>, Vec<&str>) =
        (text.split_whitespace().collect(), other.split_whitespace().collect());
    let kept = common(&ours, &theirs);
    html! {
        @for (word, same) in ours.iter().zip(kept) {
            @if same { (word) } @else if is_new { ins { (word) } } @else { del { (word) } } " "
        }
    }
}

/// Words of long texts that are compared: beyond, everything counts as changed.
const WORDS_MAX: usize = 2_000;

/// Tells for each of our words whether it belongs to the longest sequence that both have.
fn common(ours: &[&str], theirs: &[&str]) -> Vec<bool> {
    if ours.len() > WORDS_MAX || theirs.len() > WORDS_MAX {
        return vec![ours == theirs; ours.len()];
    }
    let mut longest = vec![vec![0_u16; theirs.len() + 1]; ours.len() + 1];
    for (i, word) in ours.iter().enumerate().rev() {
        for (j, other) in theirs.iter().enumerate().rev() {
            longest[i][j] = if word == other {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut kept) = (0, 0, vec![false; ours.len()]);
    while i < ours.len() && j < theirs.len() {
        if ours[i] == theirs[j] {
            kept[i] = true;
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_differ_are_marked() {
        let (old, new) = ("sửa từ thứ Hai đến thứ Tư", "sửa từ thứ Ba đến thứ Tư");
        assert_eq!(words(old, new, false).into_string(), "sửa từ thứ <del>Hai</del> đến thứ Tư ");
        assert_eq!(words(new, old, true).into_string(), "sửa từ thứ <ins>Ba</ins> đến thứ Tư ");
        assert_eq!(words("<b>", "", true).into_string(), "<ins>&lt;b&gt;</ins> ");
    }
}
