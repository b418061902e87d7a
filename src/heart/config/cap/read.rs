//! From the XML of an alert to its checked value.

use crate::said;
use crate::texts::Sentence;
use roxmltree::Node;

use super::*;
use crate::config::xml::{self, shown};

const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Children of each element, in the order of the schema.
const IN_ALERT: &[&str] = &[
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "restriction",
    "addresses",
    "code",
    "note",
    "references",
    "incidents",
    "info",
];
const IN_INFO: &[&str] = &[
    "language",
    "category",
    "event",
    "responseType",
    "urgency",
    "severity",
    "certainty",
    "audience",
    "eventCode",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "contact",
    "parameter",
    "resource",
    "area",
];
const IN_AREA: &[&str] = &["areaDesc", "polygon", "circle", "geocode", "altitude", "ceiling"];

/// Elements that may stand more than once.
const REPEAT: &[&str] = &[
    "code",
    "info",
    "category",
    "responseType",
    "eventCode",
    "parameter",
    "resource",
    "area",
    "polygon",
    "circle",
    "geocode",
];

type Read<T> = Result<T, CapError>;

/// Reads an alert from its octets. There are no document types and so no entities; everything is bounded.
///
/// # Errors
/// The first rule that it breaks, with its line.
pub fn read(bytes: &[u8]) -> Read<Alert> {
    read_text(&super::decode(bytes)?)
}

/// Reads an alert from its text, as [`super::decode`] gives it, or as a signature covers it.
///
/// # Errors
/// As [`read`].
pub fn read_text(text: &str) -> Read<Alert> {
    let document = xml::parse(text, NODES_MAX)?;
    let root = document.root_element();
    if !root.has_tag_name((NAMESPACE, "alert")) {
        return Err(CapError::NotCap { found: shown(root.tag_name().name()).to_owned() });
    }
    alert(&Element::new(root, IN_ALERT)?)
}

/// An element whose children are known, in order, and as many as are allowed. Those without any content are left out: many
/// services write optional elements without a value, and a required one is then missed by its name.
struct Element<'d> {
    node: Node<'d, 'd>,
    children: Vec<Node<'d, 'd>>,
}

fn broken<T>(node: Node<'_, '_>, what: Sentence) -> Read<T> {
    let line = node.document().text_pos_at(node.range().start).row;
    Err(CapError::Rule { line, element: shown(node.tag_name().name()).to_owned(), what })
}

impl<'d> Element<'d> {
    fn new(node: Node<'d, 'd>, known: &[&str]) -> Read<Self> {
        let mut children: Vec<Node<'_, '_>> = Vec::new();
        let mut last = None;
        for child in node.children() {
            if child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()) {
                return broken(node, said!("cap_rule.text_beside"));
            }
            if !child.is_element() || child.tag_name().namespace() == Some(SIGNATURE) {
                continue;
            }
            let name = child.tag_name().name();
            let place = known.iter().position(|known| *known == name);
            let Some(place) = place.filter(|_| child.tag_name().namespace() == Some(NAMESPACE)) else {
                return broken(child, said!("cap_rule.unknown"));
            };
            match last {
                Some(last) if place < last => {
                    return broken(child, said!("cap_rule.order", before = known[last]));
                }
                Some(last) if place == last && !REPEAT.contains(&name) => {
                    return broken(child, said!("cap_rule.twice"));
                }
                _ => last = Some(place),
            }
            if !is_empty(child) {
                children.push(child);
            }
        }
        Ok(Self { node, children })
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Node<'d, 'd>> + 'a {
        self.children.iter().copied().filter(move |child| child.tag_name().name() == name)
    }

    fn at_most(&self, name: &str, max: usize) -> Read<Vec<Node<'d, 'd>>> {
        let found: Vec<_> = self.all(name).take(max + 1).collect();
        match found.get(max) {
            Some(excess) => broken(*excess, said!("cap_rule.many", max)),
            None => Ok(found),
        }
    }

    fn get(&self, name: &str) -> Option<Node<'d, 'd>> {
        self.all(name).next()
    }

    fn need(&self, name: &str) -> Read<Node<'d, 'd>> {
        self.get(name).map_or_else(|| broken(self.node, said!("cap_rule.lacks", name)), Ok)
    }

    fn optional<T>(&self, name: &str, read: impl FnOnce(Node<'d, 'd>) -> Read<T>) -> Read<Option<T>> {
        self.get(name).map(read).transpose()
    }
}

fn is_empty(node: Node<'_, '_>) -> bool {
    node.children().all(|child| {
        !child.is_element() && child.text().filter(|_| child.is_text()).unwrap_or_default().trim().is_empty()
    })
}

/// The words of an element without elements.
fn words(node: Node<'_, '_>) -> Read<String> {
    if node.children().any(|child| child.is_element()) {
        return broken(node, said!("cap_rule.no_words"));
    }
    let parts: String =
        node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
    let text = parts.trim();
    if text.is_empty() { broken(node, said!("cap_rule.empty")) } else { Ok(text.to_owned()) }
}

/// Words that name something to others: section 3.2.1 forbids what parts them.
fn identifier(node: Node<'_, '_>) -> Read<String> {
    let text = words(node)?;
    if text.contains([',', '<', '&']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return broken(node, said!("cap_rule.bad_name"));
    }
    if text.len() > NAME_BYTES_MAX {
        return broken(node, said!("cap_rule.long_name", max = NAME_BYTES_MAX));
    }
    Ok(text)
}

fn choice<T: Copy>(node: Node<'_, '_>, choices: &[(&str, T)]) -> Read<T> {
    let text = words(node)?;
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map_or_else(
        || {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            broken(
                node,
                said!("cap_rule.no_choice", text = shown(&text).escape_debug(), names = names.join(", ")),
            )
        },
        |(_, value)| Ok(*value),
    )
}

/// `YYYY-MM-DDThh:mm:ss±hh:mm`: section 3.3.2 wants the offset, and no `Z`.
fn instant(text: &str) -> Option<Wall> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00+00:00";
    let fits = bytes.len() == shape.len()
        && bytes.iter().zip(shape).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == shape,
        });
    if fits { text.parse().ok() } else { None }
}

fn time(node: Node<'_, '_>) -> Read<Wall> {
    let text = words(node)?;
    instant(&text)
        .map_or_else(|| broken(node, said!("cap_rule.no_time", text = shown(&text).escape_debug())), Ok)
}

fn alert(alert: &Element<'_>) -> Read<Alert> {
    const STATUS: &[(&str, Status)] = &[
        ("Actual", Status::Actual),
        ("Exercise", Status::Exercise),
        ("System", Status::System),
        ("Test", Status::Test),
        ("Draft", Status::Draft),
    ];
    let status = choice(alert.need("status")?, STATUS)?;
    let note = alert.optional("note", words)?;
    if status == Status::Exercise && note.is_none() {
        return broken(alert.node, said!("cap_rule.exercise"));
    }
    for code in alert.at_most("code", REPEATS_MAX)? {
        words(code)?;
    }
    let infos = alert.at_most("info", INFOS_MAX)?.into_iter().map(info);
    let read = Alert {
        identifier: identifier(alert.need("identifier")?)?,
        sender: identifier(alert.need("sender")?)?,
        sent: time(alert.need("sent")?)?,
        status,
        kind: kind(alert)?,
        scope: scope(alert)?,
        source: alert.optional("source", words)?,
        note,
        infos: infos.collect::<Read<_>>()?,
    };
    if matches!(read.kind, Kind::Alert | Kind::Update(_)) && read.infos.is_empty() {
        return broken(alert.node, said!("cap_rule.no_info"));
    }
    Ok(read)
}

fn kind(alert: &Element<'_>) -> Read<Kind> {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Alert,
        Update,
        Cancel,
        Ack,
        Error,
    }
    const WORDS: &[(&str, Word)] = &[
        ("Alert", Word::Alert),
        ("Update", Word::Update),
        ("Cancel", Word::Cancel),
        ("Ack", Word::Ack),
        ("Error", Word::Error),
    ];
    let node = alert.need("msgType")?;
    let word = choice(node, WORDS)?;
    let references = alert.optional("references", references)?.unwrap_or_default();
    if word != Word::Alert && references.is_empty() {
        return broken(node, said!("cap_rule.no_references", kind = words(node)?));
    }
    if word == Word::Error && alert.get("note").is_none() {
        return broken(node, said!("cap_rule.no_note"));
    }
    Ok(match word {
        Word::Alert => Kind::Alert,
        Word::Update => Kind::Update(references),
        Word::Cancel => Kind::Cancel(references),
        Word::Ack => Kind::Ack(references),
        Word::Error => Kind::Error(references),
    })
}

fn references(node: Node<'_, '_>) -> Read<Vec<Reference>> {
    let text = words(node)?;
    let mut found = Vec::new();
    for triple in text.split_whitespace() {
        if found.len() == REPEATS_MAX {
            return broken(node, said!("cap_rule.many_references", max = REPEATS_MAX));
        }
        let parts: Vec<_> = triple.split(',').collect();
        let reference = match parts[..] {
            [sender, identifier, sent]
                if [sender, identifier].iter().all(|name| (1..=NAME_BYTES_MAX).contains(&name.len())) =>
            {
                instant(sent).map(|sent| (sender.to_owned(), identifier.to_owned(), sent))
            }
            _ => None,
        };
        let Some((sender, identifier, sent)) = reference else {
            return broken(node, said!("cap_rule.no_reference", text = shown(triple).escape_debug()));
        };
        found.push(Reference { sender, identifier, sent });
    }
    Ok(found)
}

fn scope(alert: &Element<'_>) -> Read<Scope> {
    #[derive(Clone, Copy)]
    enum Word {
        Public,
        Restricted,
        Private,
    }
    const WORDS: &[(&str, Word)] =
        &[("Public", Word::Public), ("Restricted", Word::Restricted), ("Private", Word::Private)];
    let node = alert.need("scope")?;
    let restriction = alert.optional("restriction", words)?;
    let addresses = alert.optional("addresses", words)?;
    Ok(match (choice(node, WORDS)?, restriction, addresses) {
        (Word::Public, None, None) => Scope::Public,
        (Word::Public, Some(_), _) => return broken(node, said!("cap_rule.public")),
        // Section 3.2.1 lets addresses stand with any scope.
        (Word::Public, None, Some(_)) => Scope::Public,
        (Word::Restricted, Some(restriction), _) => Scope::Restricted { restriction },
        (Word::Restricted, None, _) => return broken(node, said!("cap_rule.restricted")),
        (Word::Private, _, Some(addresses)) => Scope::Private { addresses: quoted(&addresses) },
        (Word::Private, _, None) => return broken(node, said!("cap_rule.private")),
    })
}

/// Words parted by blanks; those with blanks stand in quotes.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, part) in text.split('"').enumerate() {
        if n % 2 == 1 {
            found.push(part.to_owned());
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found
}

fn info(node: Node<'_, '_>) -> Read<Info> {
    let info = Element::new(node, IN_INFO)?;
    let categories = info.at_most("category", Category::ALL.len())?;
    if categories.is_empty() {
        return broken(node, said!("cap_rule.no_category"));
    }
    let responses = info.at_most("responseType", Response::ALL.len())?;
    nameds(&info, "parameter")?;
    info.at_most("resource", REPEATS_MAX)?;
    let read = Info {
        language: match info.optional("language", words)? {
            Some(language) if is_language(&language) => language.to_ascii_lowercase(),
            Some(language) => {
                return broken(node, said!("cap_rule.no_language", language = language.escape_debug()));
            }
            None => "en-us".to_owned(),
        },
        categories: categories.into_iter().map(|node| choice(node, Category::ALL)).collect::<Read<_>>()?,
        event: words(info.need("event")?)?,
        responses: responses.into_iter().map(|node| choice(node, Response::ALL)).collect::<Read<_>>()?,
        urgency: choice(info.need("urgency")?, Urgency::ALL)?,
        severity: choice(info.need("severity")?, Severity::ALL)?,
        certainty: certainty(info.need("certainty")?)?,
        event_codes: nameds(&info, "eventCode")?,
        effective: info.optional("effective", time)?,
        onset: info.optional("onset", time)?,
        expires: info.optional("expires", time)?,
        sender_name: info.optional("senderName", words)?,
        headline: info.optional("headline", words)?,
        description: info.optional("description", words)?,
        instruction: info.optional("instruction", words)?,
        areas: info.at_most("area", AREAS_MAX)?.into_iter().map(area).collect::<Read<_>>()?,
    };
    match (read.effective.or(read.onset), read.expires) {
        (Some(begins), Some(ends)) if ends <= begins => broken(node, said!("cap_rule.backward")),
        _ => Ok(read),
    }
}

fn is_language(tag: &str) -> bool {
    tag.len() <= 35
        && tag.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// CAP 1.0 wrote "Very Likely"; section 3.2.2 asks to read it as Likely.
fn certainty(node: Node<'_, '_>) -> Read<Certainty> {
    if words(node)? == "Very Likely" { Ok(Certainty::Likely) } else { choice(node, Certainty::ALL) }
}

/// All pairs of one name; one without a value, or without a name, says nothing and is left out.
fn nameds(element: &Element<'_>, name: &str) -> Read<Vec<Named>> {
    let mut found = Vec::new();
    for node in element.at_most(name, REPEATS_MAX)? {
        let pair = Element::new(node, &["valueName", "value"])?;
        if let (Some(name), Some(value)) =
            (pair.optional("valueName", words)?, pair.optional("value", words)?)
        {
            found.push(Named { name, value });
        }
    }
    Ok(found)
}

fn area(node: Node<'_, '_>) -> Read<Area> {
    let area = Element::new(node, IN_AREA)?;
    let has = |name: &str| area.get(name).is_some();
    if has("ceiling") && !has("altitude") {
        return broken(node, said!("cap_rule.ceiling"));
    }
    Ok(Area {
        description: area.optional("areaDesc", words)?.unwrap_or_default(),
        polygons: area.at_most("polygon", SHAPES_MAX)?.into_iter().map(polygon).collect::<Read<_>>()?,
        circles: area.at_most("circle", SHAPES_MAX)?.into_iter().map(circle).collect::<Read<_>>()?,
        geocodes: nameds(&area, "geocode")?,
    })
}

fn point(node: Node<'_, '_>, text: &str) -> Read<Point> {
    let read = text
        .split_once(',')
        .and_then(|(latitude, longitude)| Point::new(latitude.parse().ok()?, longitude.parse().ok()?));
    read.map_or_else(|| broken(node, said!("cap_rule.no_point", text = shown(text).escape_debug())), Ok)
}

fn polygon(node: Node<'_, '_>) -> Read<Polygon> {
    let text = words(node)?;
    let mut corners = Vec::new();
    for corner in text.split_whitespace() {
        if corners.len() > CORNERS_MAX {
            return broken(node, said!("cap_rule.many_corners", max = CORNERS_MAX));
        }
        corners.push(point(node, corner)?);
    }
    if corners.len() < 4 || corners.first() != corners.last() {
        return broken(node, said!("cap_rule.open"));
    }
    corners.pop();
    Ok(Polygon(corners))
}

fn circle(node: Node<'_, '_>) -> Read<Circle> {
    let text = words(node)?;
    let parts: Vec<_> = text.split_whitespace().collect();
    let [centre, radius] = parts[..] else {
        return broken(node, said!("cap_rule.no_circle", text = shown(&text).escape_debug()));
    };
    let radius_km = radius.parse().ok().filter(|radius: &f64| (0.0..=20_040.0).contains(radius));
    match radius_km {
        Some(radius_km) => Ok(Circle { centre: point(node, centre)?, radius_km }),
        None => broken(node, said!("cap_rule.no_radius", radius = radius.escape_debug())),
    }
}
