//! A sketch of the villages from their coordinates. The list beside it says the same in words.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::gather::Village;
use crate::boxes::state::BoxState;
use crate::store::Point;
use crate::web::parts::Kind;
use loaxa_heart::domain::announcement::Rung;

/// Size of the sketch, and the margin in which no village stands.
const WIDTH: f64 = 370.0;
const HEIGHT: f64 = 266.0;
const MARGIN: f64 = 40.0;
/// Villages from which on names would lie on each other.
const NAMED_MAX: usize = 14;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 12;

/// Villages from which on marks would lie on each other, and the side of the squares whose villages then have one together.
const APART_MAX: usize = 40;
const SQUARE: f64 = 46.0;

/// A mark on the sketch, of one village or of those in one square.
struct Mark {
    at: (f64, f64),
    villages: usize,
    state: BoxState,
    rung: Option<Rung>,
    boxes: usize,
    name: Option<String>,
}

impl Mark {
    fn of(village: &Village, at: (f64, f64)) -> Self {
        let rung = village.sounding.as_ref().map(|(rung, _)| *rung);
        Self { at, villages: 1, state: village.state(), rung, boxes: village.boxes(), name: None }
    }

    /// Puts two marks together: what needs a person counts, and the most urgent sound.
    fn beside(self, other: Self) -> Self {
        let villages = self.villages + other.villages;
        let middle = |of: fn((f64, f64)) -> f64| {
            (of(self.at) * self.villages as f64 + of(other.at) * other.villages as f64) / villages as f64
        };
        Self {
            at: (middle(|at| at.0), middle(|at| at.1)),
            villages,
            state: self.state.min(other.state),
            rung: self.rung.max(other.rung),
            boxes: self.boxes + other.boxes,
            name: None,
        }
    }
}

/// The map of the villages that have a point; nothing for fewer than two.
pub fn map(title: &str, description: &str, villages: &[Village]) -> Option<Markup> {
    let placed: Vec<_> = villages.iter().filter_map(|village| Some((village, village.point?))).collect();
    if placed.len() < 2 {
        return None;
    }
    let points: Vec<Point> = placed.iter().map(|(_, point)| *point).collect();
    let marks = placed.iter().zip(positions(&points)).map(|((village, _), at)| Mark::of(village, at));
    let mut marks: Vec<Mark> = if placed.len() <= APART_MAX { marks.collect() } else { together(marks) };
    if placed.len() <= NAMED_MAX {
        let shared = shared_words(placed.iter().map(|(village, _)| village.title.as_str()));
        for (mark, (village, _)) in marks.iter_mut().zip(&placed) {
            mark.name = Some(short(&village.title, &shared));
        }
    }
    Some(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="ban-do-ten ban-do-loi" {
            title #ban-do-ten { (title) }
            desc #ban-do-loi { (description) }
            @for mark in marks { (draw(mark)) }
        }
    })
}

/// Puts the marks of each square together.
fn together(marks: impl Iterator<Item = Mark>) -> Vec<Mark> {
    let mut squares: BTreeMap<(i32, i32), Mark> = BTreeMap::new();
    for mark in marks {
        let square = ((mark.at.0 / SQUARE) as i32, (mark.at.1 / SQUARE) as i32);
        let joined = match squares.remove(&square) {
            Some(there) => there.beside(mark),
            None => mark,
        };
        squares.insert(square, joined);
    }
    squares.into_values().collect()
}

/// The positions of points on the sketch; a degree of longitude is narrower than one of latitude.
fn positions(points: &[Point]) -> Vec<(f64, f64)> {
    let middle = points.iter().map(|point| point.latitude).sum::<f64>() / points.len() as f64;
    let flat = |point: &Point| (point.longitude * middle.to_radians().cos(), -point.latitude);
    let flat: Vec<_> = points.iter().map(flat).collect();
    let range = |of: fn(&(f64, f64)) -> f64| {
        let all = flat.iter().map(of);
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (top, bottom)) = (range(|point| point.0), range(|point| point.1));
    let scale_x = (WIDTH - 2.0 * MARGIN) / (right - left).max(f64::EPSILON);
    let scale_y = (HEIGHT - 2.0 * MARGIN) / (bottom - top).max(f64::EPSILON);
    let scale = scale_x.min(scale_y);
    let (pad_x, pad_y) = ((WIDTH - scale * (right - left)) / 2.0, (HEIGHT - scale * (bottom - top)) / 2.0);
    flat.iter().map(|(x, y)| (pad_x + scale * (x - left), pad_y + scale * (y - top))).collect()
}

/// A mark: filled while it sounds, a ring while it is quiet, dashed where nothing is known, a triangle to be mended.
fn draw(mark: Mark) -> Markup {
    let (x, y) = (mark.at.0.round() as i32, mark.at.1.round() as i32);
    let kind = match (mark.state, mark.rung) {
        (BoxState::OutOfContact, _) => Kind::Unknown,
        (BoxState::Faulty, _) => Kind::Bad,
        (BoxState::OnAir, Some(Rung::Emergency)) => Kind::Emergency,
        (BoxState::OnAir, Some(Rung::Exercise)) => Kind::Exercise,
        (BoxState::OnAir, Some(Rung::Priority | Rung::Live)) => Kind::Priority,
        (BoxState::OnAir, _) => Kind::OnAir,
        (BoxState::Quiet, _) => Kind::Quiet,
    };
    let (inside, is_filled) = match mark.state {
        BoxState::OutOfContact => ("?".to_owned(), false),
        BoxState::Faulty => ("!".to_owned(), true),
        BoxState::OnAir => (mark.boxes.to_string(), true),
        BoxState::Quiet => (mark.boxes.to_string(), false),
    };
    html! {
        g.(kind.class()) {
            @match kind {
                Kind::Bad => path.fc d={ "M" (x) " " (y - 19) "l18 31h-36z" } {},
                Kind::Priority | Kind::Emergency | Kind::Exercise => {
                    path.fc d={ "M" (x) " " (y - 18) "l18 18-18 18-18-18z" } {}
                }
                Kind::Unknown => circle.sc cx=(x) cy=(y) r="14" stroke-dasharray="5 4" {},
                Kind::Quiet => circle.sc cx=(x) cy=(y) r="14" {},
                _ => circle.fc cx=(x) cy=(y) r="15" {},
            }
            @if is_filled { text.fon2 x=(x) y=(y + 6) text-anchor="middle" { (inside) } }
            @else { text x=(x) y=(y + 6) text-anchor="middle" { (inside) } }
            @if let Some(name) = mark.name { text x=(x) y=(y + 35) text-anchor="middle" { (name) } }
        }
    }
}

/// First words that several villages share, as most names of villages begin with the word for one.
fn shared_words<'v>(titles: impl Iterator<Item = &'v str>) -> BTreeSet<&'v str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, _) in titles.filter_map(|title| title.split_once(' ')) {
        *counts.entry(word).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(word, _)| word).collect()
}

/// A name without the word that others share.
fn short(title: &str, shared: &BTreeSet<&str>) -> String {
    let rest =
        title.split_once(' ').filter(|(word, _)| shared.contains(word)).map_or(title, |(_, rest)| rest);
    let mut chars = rest.chars();
    let begin: String = chars.by_ref().take(NAME_CHARS_MAX).collect();
    if chars.next().is_some() { format!("{}…", begin.trim_end()) } else { begin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_inside_and_north_is_up() {
        let point = |latitude, longitude| Point { latitude, longitude };
        let found = positions(&[point(21.02, 105.80), point(21.00, 105.80), point(21.01, 105.84)]);
        for (x, y) in &found {
            assert!((MARGIN - 1.0..=WIDTH - MARGIN + 1.0).contains(x), "{found:?}");
            assert!((MARGIN - 1.0..=HEIGHT - MARGIN + 1.0).contains(y), "{found:?}");
        }
        assert!(found[0].1 < found[1].1 && found[0].0 < found[2].0, "{found:?}");
        assert!(
            positions(&[point(21.0, 105.0), point(21.0, 105.0)])
                .iter()
                .all(|(x, y)| x.is_finite() && y.is_finite())
        );
    }

    #[test]
    fn many_villages_have_few_marks_and_none_hides_trouble() {
        let village = |n: usize, state: BoxState, rung| {
            let mut counts = [0; 4];
            counts[BoxState::ALL.iter().position(|it| *it == state).unwrap()] = 2;
            let point =
                Point { latitude: 20.0 + (n / 40) as f64 / 10.0, longitude: 105.0 + (n % 40) as f64 / 10.0 };
            Village {
                title: format!("Thôn {n}"),
                counts,
                sounding: rung,
                point: Some(point),
                ..Village::default()
            }
        };
        let mut villages: Vec<_> = (0..1_000).map(|n| village(n, BoxState::Quiet, None)).collect();
        villages[777] = village(777, BoxState::OnAir, Some((Rung::Emergency, "Lũ".to_owned())));
        villages[13] = village(13, BoxState::OutOfContact, None);
        let placed = villages.iter().map(|village| village.point.unwrap()).collect::<Vec<_>>();
        let marks =
            together(villages.iter().zip(positions(&placed)).map(|(village, at)| Mark::of(village, at)));
        assert!((10..=54).contains(&marks.len()), "{}", marks.len());
        assert_eq!(marks.iter().map(|mark| mark.boxes).sum::<usize>(), 2_000);
        let of = |state| marks.iter().filter(|mark| mark.state == state).count();
        assert_eq!((of(BoxState::OutOfContact), of(BoxState::OnAir)), (1, 1));
        assert!(marks.iter().any(|mark| mark.rung == Some(Rung::Emergency)));
    }

    #[test]
    fn names_are_short() {
        let titles = ["Thôn Bến", "Thôn Hạ", "Khu tập thể nhà máy đường", "Đồng Cao"];
        let shared = shared_words(titles.into_iter());
        let names: Vec<_> = titles.iter().map(|title| short(title, &shared)).collect();
        assert_eq!(names, ["Bến", "Hạ", "Khu tập thể…", "Đồng Cao"]);
    }
}
