//! The podcast: RSS 2.0 of what everybody may hear again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rss::extension::itunes::{ITunesCategory, ITunesChannelExtension, ITunesItemExtension};
use rss::{Channel, Enclosure, Guid, Item};

use super::again::{address, kind};
use super::answer::{allow_other_sites, cached};
use super::now::Asked;
use super::seen::{Seen, Shared};
use crate::app::App;
use crate::store::PublishedRow;
use crate::web::frame::PageError;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, steers};

/// Time for which caches may keep the feed, in seconds: what is cancelled is soon gone.
const GOOD_FOR_S: u32 = 60;

pub async fn feed(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let seen = shared.seen(&app).await?;
    if !asked.thon.is_empty() && seen.village(&asked.thon).is_none() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let mut answer =
        cached(&headers, "application/rss+xml; charset=utf-8", GOOD_FOR_S, draw(&app, &seen, &asked.thon));
    allow_other_sites(&mut answer);
    Ok(answer)
}

/// Leaves out characters that XML has no place for, and those that steer.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !(steers(*c) || matches!(c, '\u{fffe}' | '\u{ffff}'))).collect()
}

/// A time as RFC 2822 writes it.
fn time(at: Wall) -> String {
    at.utc().to_rfc2822()
}

fn draw(app: &App, seen: &Seen, thon: &str) -> String {
    let village = seen.village(thon).filter(|_| !thon.is_empty());
    let commune = plain(&app.settings.commune);
    let place = village.map_or_else(|| commune.clone(), |village| plain(&village.title));
    let items: Vec<Item> = match village {
        Some(village) => seen.again_in(&village.group).map(|row| item(app, row)).collect(),
        None => seen.again.iter().map(|row| item(app, row)).collect(),
    };
    let of_village = village.map_or_else(String::new, |village| format!("?thon={}", village.group));
    let title = said!("public.podcast_of", place).to(Lang::Vi);
    let summary = said!("public.podcast_summary", commune).to(Lang::Vi);
    let channel = Channel {
        title,
        link: format!("{}/chuong-trinh{of_village}", app.public_url),
        description: summary.clone(),
        language: Some(Lang::Vi.tag().to_owned()),
        last_build_date: seen.again.first().map(|row| time(row.aired)),
        ttl: Some("15".to_owned()),
        namespaces: BTreeMap::from([(
            "itunes".to_owned(),
            "http://www.itunes.com/dtds/podcast-1.0.dtd".to_owned(),
        )]),
        itunes_ext: Some(ITunesChannelExtension {
            author: Some(commune),
            categories: vec![ITunesCategory { text: "Government".to_owned(), subcategory: None }],
            explicit: Some("false".to_owned()),
            summary: Some(summary),
            ..ITunesChannelExtension::default()
        }),
        items,
        ..Channel::default()
    };
    channel.to_string()
}

fn item(app: &App, row: &PublishedRow) -> Item {
    let content = &row.content;
    let seconds = row.media.ms.div_ceil(1_000);
    Item {
        title: Some(plain(&content.title)),
        description: Some(plain(&content.text)).filter(|text| !text.trim().is_empty()),
        pub_date: Some(time(row.aired)),
        // The notice keeps its id for as long as it is kept, whatever the address of this server becomes.
        guid: Some(Guid { value: format!("loaxa-notice-{}", row.id), permalink: false }),
        enclosure: Some(Enclosure {
            url: format!("{}{}", app.public_url, address(row)),
            length: row.media.bytes.to_string(),
            mime_type: kind(row).0.to_owned(),
        }),
        itunes_ext: Some(ITunesItemExtension {
            duration: Some(format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)),
            explicit: Some("false".to_owned()),
            ..ITunesItemExtension::default()
        }),
        ..Item::default()
    }
}
