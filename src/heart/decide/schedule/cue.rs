//! The point at which a late session enters its filling.

use super::filling::{Length, Piece, Role};
use crate::domain::programme::Fill;
use crate::domain::time::Span;

/// The point at which a filling is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CuePoint {
    /// Index of the piece.
    pub index: usize,
    /// Part of the piece that is passed over; a relay is to last so much shorter.
    pub skip: Span,
}

/// Finds the point of a filling `elapsed` after its start, or `None` where it would be over. Gaps count; a file of
/// unknown length counts as nothing; with [`Fill::Loop`] the items go round until the end.
pub fn cue_at(pieces: &[Piece], fill: Fill, elapsed: Span) -> Option<CuePoint> {
    let is_item = |piece: &Piece| matches!(piece.role, Role::Item { .. });
    let opening = pieces.iter().take_while(|piece| piece.role == Role::Opening).count();
    let mut left = elapsed;
    if let Some(found) = walk(&pieces[..opening], 0, &mut left) {
        return Some(found);
    }
    let items = pieces[opening..].iter().take_while(|piece| is_item(piece)).count();
    let after = opening + items;
    if fill == Fill::Loop {
        let round: Option<u64> =
            pieces[opening..after].iter().map(|piece| whole(piece).map(|span| span.0)).sum();
        match round {
            Some(0) => return None,
            Some(round) => left = Span(left.0 % round),
            // A piece lasts until the end: the first round never ends.
            None => {}
        }
    }
    walk(&pieces[opening..after], opening, &mut left).or_else(|| walk(&pieces[after..], after, &mut left))
}

/// Returns how long a piece takes with its gap; `None` for one that ends only with the session.
fn whole(piece: &Piece) -> Option<Span> {
    (piece.length != Length::UntilEnd).then(|| piece.length.span().map_or(Span(0), |span| piece.gap + span))
}

fn walk(pieces: &[Piece], first: usize, left: &mut Span) -> Option<CuePoint> {
    for (index, piece) in pieces.iter().enumerate() {
        match whole(piece) {
            Some(whole) if whole <= *left => *left = left.saturating_sub(whole),
            _ => return Some(CuePoint { index: first + index, skip: left.saturating_sub(piece.gap) }),
        }
    }
    None
}
