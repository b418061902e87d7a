use super::*;

const FLOOD: &str = include_str!("../../../../tests/fixtures/cap/lu-quet.xml");
const UPDATE: &str = include_str!("../../../../tests/fixtures/cap/lu-quet-cap-nhat.xml");
const CANCEL: &str = include_str!("../../../../tests/fixtures/cap/lu-quet-huy.xml");
const EXERCISE: &str = include_str!("../../../../tests/fixtures/cap/dien-tap-song-than.xml");

fn good(text: &str) -> Alert {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn an_alert_is_read_as_it_was_written() {
    let alert = good(FLOOD);
    assert_eq!((alert.status, &alert.kind, &alert.scope), (Status::Actual, &Kind::Alert, &Scope::Public));
    assert_eq!(alert.sent, "2026-11-19T21:17:00Z".parse().unwrap());
    let [vi, en] = &alert.infos[..] else { panic!("two languages") };
    assert_eq!((vi.language.as_str(), en.language.as_str()), ("vi-vn", "en"));
    assert_eq!((vi.urgency, vi.severity), (Urgency::Immediate, Severity::Extreme));
    assert_eq!(vi.categories, [Category::Met, Category::Geo]);
    assert_eq!(vi.expires, Some("2026-11-20T03:00:00Z".parse().unwrap()));
    assert!(vi.description.as_ref().unwrap().contains("suối nhỏ & sạt lở"));
    assert_eq!(vi.event_codes, [Named { name: "QD18-2021".to_owned(), value: "lu-quet-cap-4".to_owned() }]);
}

#[test]
fn updates_and_cancels_name_what_they_are_about() {
    let alert = good(FLOOD).reference();
    let update = good(UPDATE);
    assert_eq!(update.kind, Kind::Update(vec![alert]));
    let cancel = good(CANCEL);
    assert_eq!(cancel.kind, Kind::Cancel(vec![update.reference()]));
    assert!(cancel.infos.is_empty());
}

#[test]
fn an_exercise_is_marked_and_utc_is_read() {
    let alert = good(EXERCISE);
    assert_eq!(alert.status, Status::Exercise);
    assert!(matches!(alert.scope, Scope::Restricted { .. }));
    assert_eq!(alert.sent, "2026-03-11T02:00:00Z".parse().unwrap());
    assert_eq!((alert.infos[0].certainty, alert.infos[0].language.as_str()), (Certainty::Likely, "en-us"));
}

/// The flood with a part replaced; what the refusal says.
fn check(part: &str, other: &str, says: &str) {
    assert!(FLOOD.contains(part), "{part:?} is in the flood");
    let error = read(FLOOD.replacen(part, other, 1).as_bytes()).expect_err(other).to_string();
    assert!(error.contains(says), "{says:?} in {error:?}");
}

#[test]
fn rules_of_the_schema_are_kept() {
    check("<status>Actual</status>", "", "has no <status>");
    check("<status>Actual<", "<status>Real<", "\"Real\", none of: Actual");
    check("<scope>Public</scope>", "<scope>Public</scope><scope>Public</scope>", "is there twice");
    check("<scope>Public</scope>", "<scope>Public</scope><sent>x</sent>", "stands after <scope>");
    check("<scope>Public</scope>", "<scope>Public</scope><loud/>", "<loud> is not known here");
    check("<source>", "<source xmlns='urn:x'>", "is not known here");
    check("<areaDesc>", "<areaDesc><b/>", "where words are expected");
    check("<info>", "words <info>", "text beside its elements");
    check("<severity>Extreme", "<severity>extreme", "none of: Extreme");
    check("<category>Met</category>\n    <category>Geo</category>", "", "has no <category>");
    check("emergency:cap:1.2", "emergency:cap:1.1", "is no CAP 1.2");
    check("<value>lu-quet", "<valueName>lu-quet", "is not XML");
}

#[test]
fn rules_of_the_prose_are_kept() {
    check("<sent>2026-11-20T04:17:00+07:00", "<sent>2026-11-20T04:17:00Z", "UTC as -00:00");
    check("<sent>2026-11-20T04:17:00+07:00", "<sent>2026-02-30T04:17:00+07:00", "line 5: <sent>");
    check("<identifier>VN-", "<identifier>VN ", "a blank, a comma");
    check("<sender>canhbao@", "<sender>canhbao,", "a blank, a comma");
    check("<status>Actual", "<status>Exercise", "without a <note>");
    check("<msgType>Alert", "<msgType>Update", "no <references>");
    check("<msgType>Alert", "<msgType>Cancel", "no <references>");
    check("<scope>Public", "<scope>Restricted", "without a <restriction>");
    check("<scope>Public", "<scope>Private", "without <addresses>");
    check("</scope>", "</scope><restriction>x</restriction>", "is Public, with a <restriction>");
    check("</scope>", "</scope><references>a,b</references>", "no sender,identifier,sent");
    check("<expires>2026-11-20T10", "<expires>2026-11-20T04", "expires before it begins");
    check("21.10,105.35 21.10,105.20</", "21.10,105.35</", "does not end where it began");
    check("21.20,105.20", "91.20,105.20", "no latitude,longitude");
    check("105.50 3.5", "105.50 -1", "none in kilometres");
    check("105.50 3.5", "105.50 NaN", "none in kilometres");
    check("</areaDesc>", "</areaDesc><ceiling>3</ceiling>", "stands after");
    check("<language>vi-VN", "<language>vi_VN", "no BCP 47 tag");
}

#[test]
fn what_is_hostile_is_refused_before_it_costs_anything() {
    let bomb =
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;'>]><alert>&c;</alert>";
    assert!(matches!(read(bomb.as_bytes()), Err(CapError::NotXml(_))));
    let outside = "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><alert/>";
    assert!(matches!(read(outside.as_bytes()), Err(CapError::NotXml(_))));
    assert_eq!(read(&vec![b' '; ALERT_BYTES_MAX + 1]), Err(CapError::TooLarge));
    assert!(matches!(read(b"\xff\xfe<"), Err(CapError::NotXml(_))));
    let many = format!("<alert>{}</alert>", "<a/>".repeat(NODES_MAX as usize));
    assert!(matches!(read(many.as_bytes()), Err(CapError::NotXml(_))));
    let deep = format!("{}{}", "<a>".repeat(40_000), "</a>".repeat(40_000));
    assert!(read(deep.as_bytes()).is_err());
    let infos = "<info><event>x</event></info>".repeat(INFOS_MAX + 1);
    check("<info>", &format!("{infos}<info>"), "more than 128 times");
    check("<identifier>VN", &format!("<identifier>{}", "V".repeat(NAME_BYTES_MAX)), "longer than 1024 bytes");
    let attributes: String = (0..1_000).map(|n| format!(" a{n}=''")).collect();
    check("<info>", &format!("<info{attributes}>"), "more than 64 attributes");
}

#[test]
fn a_refusal_does_not_quote_without_end() {
    let long = "x".repeat(1_000_000);
    for (from, to) in [
        ("<status>", format!("<status>{long}")),
        ("<sent>", format!("<sent>{long}")),
        ("</scope>", format!("</scope><references>{long}</references>")),
        ("</scope>", format!("</scope><{long}/>")),
        ("</scope>", format!("</{long}>")),
    ] {
        let refused = read(FLOOD.replace(from, &to).as_bytes()).unwrap_err().to_string();
        assert!(refused.len() < 2_000, "{from}: {}", refused.len());
    }
    assert!(read(format!("<{long}/>").as_bytes()).unwrap_err().to_string().len() < 2_000);
}

/// The flood with a part replaced is read as if `other` were not there.
#[track_caller]
fn check_absent(part: &str, other: &str) {
    assert!(FLOOD.contains(part), "{part:?} is in the flood");
    assert_eq!(good(&FLOOD.replacen(part, other, 1)), good(FLOOD), "{other}");
}

#[test]
fn empty_optional_elements_are_as_absent() {
    for empty in ["<note/>", "<note></note>", "<note> \n </note>", "<note><!-- none --></note>"] {
        check_absent("</scope>", &format!("</scope>{empty}"));
    }
    check_absent("</scope>", "</scope><restriction/>");
    check_absent("</scope>", "</scope><addresses></addresses>");
    check_absent("</scope>", "</scope><addresses/><code/><note/><references/><incidents/>");
    check_absent("<source>", "<source><![CDATA[]]>");
    check_absent("<effective>", "<eventCode><valueName>X</valueName><value/></eventCode><effective>");
    check_absent("<effective>", "<eventCode/><effective>");
    check_absent(
        "<area>",
        "<web/><contact/><parameter><valueName/><value>1</value></parameter><resource/><area>",
    );
    check_absent("</areaDesc>", "</areaDesc><polygon></polygon>");
    check_absent("</circle>", "</circle><circle/>");
    check_absent("</geocode>", "</geocode><geocode><valueName>FIPS6</valueName><value></value></geocode>");
    check_absent("</geocode>", "</geocode><altitude/><ceiling/>");
    check("<headline>Cảnh", "<headline/><headline>Cảnh", "is there twice");
    check("<event>Lũ quét<", "<event><", "has no <event>");
    check("<category>Met</category>\n    <category>Geo</category>", "<category/>", "has no <category>");
}

/// Files of other services, with what is right for each.
#[test]
fn alerts_as_the_world_writes_them() {
    const FILES: &[(&[u8], &str)] = &[
        (include_bytes!("../../../../tests/fixtures/cap/world/empty_headline.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/empty_note.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/empty_geocode_value.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/public_with_empty_addresses.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/areas_65_polygons.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/allclear.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/no_area.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/utf16.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/two_signatures_naad.xml"), ""),
        (include_bytes!("../../../../tests/fixtures/cap/world/reverse_1_cancel.xml"), ""),
        (
            include_bytes!(
                "../../../../tests/fixtures/cap/world/cap-signed-alert-rewritten-by-utf7-comment.xml"
            ),
            "is written in \"UTF-7\"",
        ),
    ];
    for (bytes, says) in FILES {
        let found = read(bytes).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(
            if says.is_empty() { found.is_empty() } else { found.contains(says) },
            "{found:?}, not {says:?}"
        );
    }
}

#[test]
fn alerts_as_large_as_real_ones_are_read() {
    let large = |polygon: &str, description: &str| {
        let (polygon, description) = (format!("<polygon>{polygon}"), format!("<description>{description}"));
        good(&FLOOD.replacen("<polygon>", &polygon, 1).replacen("<description>", &description, 1))
    };
    let coast: String = (0..5_000).map(|n| format!("21.{n:04},105.{n:04} ")).collect();
    let alert = large(&format!("{coast}21.0000,105.0000</polygon><polygon>"), &"Mưa rất to. ".repeat(80_000));
    assert_eq!(alert.infos[0].areas[0].polygons[0].0.len(), 5_000);
    let squares = "21.1,105.2 21.2,105.2 21.2,105.3 21.1,105.2</polygon><polygon>".repeat(200);
    assert_eq!(large(&squares, "").infos[0].areas[0].polygons.len(), 201);
}

fn check_place(latitude: f64, longitude: f64, codes: &[(&str, &str)], inside: bool) {
    let alert = good(FLOOD);
    let named = |(name, value): &(&str, &str)| Named { name: (*name).to_owned(), value: (*value).to_owned() };
    let codes: Vec<_> = codes.iter().map(named).collect();
    let place = Point::new(latitude, longitude);
    assert_eq!(alert.infos[0].areas[0].reaches(place, &codes), inside, "{latitude},{longitude}");
}

#[test]
fn places_are_reached_by_polygon_circle_and_code() {
    check_place(21.15, 105.30, &[], true);
    // A corner, a side, and just outside.
    check_place(21.10, 105.20, &[], true);
    check_place(21.15, 105.20, &[], true);
    check_place(21.15, 105.199, &[], false);
    check_place(21.25, 105.30, &[], false);
    // 3.5 km around 21.5,105.5: a minute of latitude is 1.853 km.
    check_place(21.531, 105.5, &[], true);
    check_place(21.532, 105.5, &[], false);
    check_place(10.0, 106.0, &[("DVHC", "26-0417")], true);
    check_place(10.0, 106.0, &[("DVHC", "26-0418"), ("X", "26-0417")], false);
}

#[test]
fn a_polygon_over_the_date_line_and_a_hollow_one() {
    let corners =
        |list: &[(f64, f64)]| Polygon(list.iter().map(|(a, b)| Point::new(*a, *b).unwrap()).collect());
    let fiji = corners(&[(-20.0, 175.0), (-15.0, 175.0), (-15.0, -175.0), (-20.0, -175.0)]);
    let at = |latitude, longitude| Point::new(latitude, longitude).unwrap();
    assert!(fiji.holds(at(-17.0, 179.0)) && fiji.holds(at(-17.0, -179.0)));
    assert!(!fiji.holds(at(-17.0, 105.0)));
    let horseshoe = corners(&[
        (0.0, 0.0),
        (3.0, 0.0),
        (3.0, 1.0),
        (1.0, 1.0),
        (1.0, 2.0),
        (3.0, 2.0),
        (3.0, 3.0),
        (0.0, 3.0),
    ]);
    assert!(horseshoe.holds(at(2.0, 0.5)) && horseshoe.holds(at(2.0, 2.5)) && !horseshoe.holds(at(2.0, 1.5)));
}
