//! An HLS presentation (RFC 8216) as runs of bytes that one decoder can take each.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use m3u8_rs::{KeyMethod, MasterPlaylist, MediaPlaylist, Playlist};
use url::Url;

use super::buffer::Buffer;
use super::mpeg_ts::{Demuxer, is_transport_stream};
use crate::source::web::{ByteRange, Bytes, Web};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// A live presentation is entered so many segments before its end, as RFC 8216 6.3.3 asks for.
const FROM_END: usize = 3;
/// Of several qualities the smallest with at least this many bits a second is taken: villages pay for their data.
const GOOD_BITS: u64 = 64_000;
/// Bytes taken from a server at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Segments that may fail in a row before the presentation is said to fail.
const FAILURES_MAX: u32 = 3;
/// Longest beginning that segments share: its tables take a few kilobytes.
const MAP_BYTES_MAX: u64 = 1 << 20;
/// Nested playlists that are followed.
const NESTING_MAX: u32 = 3;

/// A part of a presentation.
struct Segment {
    number: u64,
    place: Place,
    /// Initialisation of fMP4 that it needs.
    map: Option<Place>,
    /// The coding may differ from that of the segment before.
    breaks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    url: String,
    range: Option<ByteRange>,
}

/// A presentation being followed; as a reader it ends where a new decoder is needed.
pub struct Hls {
    web: Web,
    buffer: Arc<Buffer>,
    url: String,
    queue: VecDeque<Segment>,
    /// Number of the segment to be queued next.
    next: Option<u64>,
    /// Half the longest segment: how long to wait for news.
    patience: Span,
    complete: bool,
    /// Initialisation that the decoder has been given.
    map: Option<Place>,
    /// The decoder of this run has been given something.
    begun: bool,
    body: Option<Bytes>,
    demuxer: Option<Demuxer>,
    ready: Vec<u8>,
    given: usize,
    failures: u32,
}

impl Hls {
    /// Follows the presentation whose first playlist has this text and address.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn open(web: Web, buffer: Arc<Buffer>, text: &[u8], url: String) -> Result<Self, String> {
        let (list, url) = media_playlist(&web, text, url, NESTING_MAX)?;
        let mut hls = Self {
            web,
            buffer,
            url,
            queue: VecDeque::new(),
            next: None,
            patience: Span::secs(1),
            complete: false,
            map: None,
            begun: false,
            body: None,
            demuxer: None,
            ready: Vec::new(),
            given: 0,
            failures: 0,
        };
        hls.take_list(list)?;
        Ok(hls)
    }

    /// Tells whether all of the presentation was read; a live one never is.
    pub fn is_over(&self) -> bool {
        self.complete && self.queue.is_empty() && self.body.is_none() && self.given == self.ready.len()
    }

    /// Readies for another decoder.
    pub fn begin_run(&mut self) {
        (self.begun, self.map, self.demuxer) = (false, None, None);
    }

    fn take_list(&mut self, list: MediaPlaylist) -> Result<(), String> {
        let first = list.media_sequence;
        let end = first + list.segments.len() as u64;
        self.complete = list.end_list;
        self.patience = Span::millis((list.target_duration * 500).clamp(250, 5_000));
        let live_edge = end.saturating_sub(FROM_END as u64).max(first);
        let from = match self.next {
            // The server began anew.
            Some(next) if next > end => live_edge,
            Some(next) => next.max(first),
            None if list.end_list => first,
            None => live_edge,
        };
        let base = Url::parse(&self.url).map_err(|error| error.to_string())?;
        let join = |uri: &str| {
            base.join(uri)
                .map(String::from)
                .map_err(|error| said!("stream.bad_address", address = uri, error).to_string())
        };
        let (mut map, mut last_range): (Option<Place>, Option<(String, u64)>) = (None, None);
        for (number, segment) in (first..).zip(list.segments) {
            if segment.key.is_some_and(|key| key.method != KeyMethod::None) {
                return Err(said!("stream.encrypted").to_string());
            }
            if let Some(given) = &segment.map {
                let range = given.byte_range.as_ref();
                let range = range.map(|r| ByteRange { start: r.offset.unwrap_or(0), bytes: r.length });
                map = Some(Place { url: join(&given.uri)?, range });
            }
            let url = join(&segment.uri)?;
            let range = segment.byte_range.map(|range| {
                let follows = last_range.as_ref().filter(|(of, _)| *of == url).map_or(0, |(_, end)| *end);
                ByteRange { start: range.offset.unwrap_or(follows), bytes: range.length }
            });
            last_range = range.map(|range| (url.clone(), range.start.saturating_add(range.bytes)));
            if number >= from {
                let breaks = segment.discontinuity || self.next.is_some_and(|next| next != number);
                self.queue.push_back(Segment {
                    number,
                    place: Place { url, range },
                    map: map.clone(),
                    breaks,
                });
                self.next = Some(number + 1);
            }
        }
        self.next.get_or_insert(from);
        Ok(())
    }

    /// Makes something ready; `false` at the end of a run.
    fn refill(&mut self) -> Result<bool, String> {
        self.ready.clear();
        self.given = 0;
        if let Some(body) = &mut self.body {
            let mut piece = vec![0; PIECE_BYTES];
            match body.read(&mut piece) {
                Ok(0) => self.body = None,
                Ok(read) => self.take_piece(&piece[..read]),
                Err(error) => {
                    self.body = None;
                    return Err(error.to_string());
                }
            }
            return Ok(true);
        }
        let Some(segment) = self.queue.pop_front() else { return self.look_for_news() };
        let new_map = segment.map.is_some() && segment.map != self.map;
        if self.begun && (segment.breaks || new_map) {
            self.queue.push_front(Segment { breaks: false, ..segment });
            return Ok(false);
        }
        if let Some(map) = segment.map.filter(|_| new_map) {
            let read =
                self.web.segment(&map.url, map.range)?.take(MAP_BYTES_MAX + 1).read_to_end(&mut self.ready);
            if read.map_err(|error| error.to_string())? as u64 > MAP_BYTES_MAX {
                self.ready.clear();
                return Err(said!("stream.long_map", bytes = MAP_BYTES_MAX).to_string());
            }
            self.map = Some(map);
        }
        self.body = Some(
            self.web
                .segment(&segment.place.url, segment.place.range)
                .map_err(|error| said!("stream.segment", number = segment.number, error).to_string())?,
        );
        self.begun = true;
        Ok(true)
    }

    fn take_piece(&mut self, piece: &[u8]) {
        self.failures = 0;
        if self.demuxer.is_none() && self.map.is_none() && is_transport_stream(piece) {
            self.demuxer = Some(Demuxer::default());
        }
        match &mut self.demuxer {
            Some(demuxer) => demuxer.push(piece, &mut self.ready),
            None => self.ready.extend_from_slice(piece),
        }
    }

    fn look_for_news(&mut self) -> Result<bool, String> {
        if self.complete || self.buffer.wait(self.patience) {
            return Ok(false);
        }
        let (text, url) = self.web.playlist(&self.url)?;
        let (list, url) = media_playlist(&self.web, &text, url, 0)?;
        self.url = url;
        self.take_list(list)?;
        Ok(true)
    }
}

impl Read for Hls {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(_) if self.failures < FAILURES_MAX && !self.buffer.wait(self.patience) => {
                    self.failures += 1
                }
                Err(error) => {
                    self.failures = 0;
                    return Err(io::Error::other(error));
                }
            }
        }
        let read = out.len().min(self.ready.len() - self.given);
        out[..read].copy_from_slice(&self.ready[self.given..self.given + read]);
        self.given += read;
        Ok(read)
    }
}

/// The playlist of segments that a text is, or leads to, and its address.
fn media_playlist(
    web: &Web,
    text: &[u8],
    url: String,
    nesting: u32,
) -> Result<(MediaPlaylist, String), String> {
    match m3u8_rs::parse_playlist_res(text) {
        Ok(Playlist::MediaPlaylist(list)) => Ok((list, url)),
        Ok(Playlist::MasterPlaylist(list)) if nesting > 0 => {
            let uri = choose(&list).ok_or_else(|| said!("stream.empty_playlist").to_string())?;
            let next = Url::parse(&url).and_then(|base| base.join(uri)).map_err(|error| error.to_string())?;
            let (text, url) = web.playlist(next.as_str())?;
            media_playlist(web, &text, url, nesting - 1)
        }
        Ok(Playlist::MasterPlaylist(_)) => Err(said!("stream.endless").to_string()),
        Err(_) => Err(said!("stream.bad_playlist").to_string()),
    }
}

/// The sound alone where it is offered, else the smallest stream that is good enough.
fn choose(list: &MasterPlaylist) -> Option<&str> {
    let variants = || list.variants.iter().filter(|variant| !variant.is_i_frame);
    let good = variants().filter(|it| it.bandwidth >= GOOD_BITS).min_by_key(|it| it.bandwidth);
    let variant = good.or_else(|| variants().max_by_key(|it| it.bandwidth))?;
    let group = variant.audio.as_ref();
    let apart = list.alternatives.iter().filter(|it| group == Some(&it.group_id) && it.uri.is_some());
    let sound = apart.max_by_key(|it| it.default).and_then(|it| it.uri.as_deref());
    Some(sound.unwrap_or(&variant.uri))
}
