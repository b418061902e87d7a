//! Central over HTTP: media in parts, who may ask, and what is said to those who ask wrongly.

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::settings::{BrokerChoice, Logins};
use loaxa_central::store::Role;
use serde_json::{Value, json};

async fn with_central(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    test(&central).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_come_whole_in_parts_or_not_at_all() {
    with_central(async |central| {
        let fields = json!({ "to": ["xa"], "class": "normal" });
        let id = announce(central, &fields, Some(&tone())).await.json()["id"].as_str().unwrap().to_owned();
        let announced = get_api(central, &format!("/api/v1/announcements/{id}")).await.json();
        let media = &announced["command"]["body"]["media"];
        assert_eq!((&announced["title"], &media["codec"]), (&json!("bai.wav"), &json!("audio/wav")));
        let path = format!("/media/{}", media["path"].as_str().unwrap());
        let whole = get(central, &path, &[]).await;
        assert_eq!((whole.status, &whole.body), (200, &tone()));
        assert_eq!(whole.header("cache-control"), "no-store");
        let part = get(central, &path, &[("range", "bytes=100-199")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &tone()[100..200]));
        assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", tone().len()));
        let rest = get(central, &path, &[("range", "bytes=16000-")]).await;
        assert_eq!((rest.status, &rest.body[..]), (206, &tone()[16_000..]));
        assert_eq!(get(central, &path, &[("range", "bytes=999999-")]).await.status, 416);
        assert_eq!(get(central, &format!("/media/{}", "0".repeat(64)), &[]).await.status, 404);
        assert_eq!(get(central, "/media/..%2Fcentral.db", &[]).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_asks_for_the_token() {
    with_central(async |central| {
        for path in
            ["/api/v1/boxes", "/api/v1/on-air", "/api/v1/log", "/api/v1/export", "/api/v1/announcements"]
        {
            for header in ["", "Bearer", "Bearer a-token-for-test", "Bearer a-token-for-testz", "Basic x"] {
                let answer = get(central, path, &[("authorization", header)]).await;
                assert_eq!(answer.status, 401, "{path} {header}");
                assert!(answer.json()["error"].as_str().unwrap().contains("token"));
            }
            assert_eq!(get_api(central, path).await.status, 200, "{path}");
        }
        let document = get(central, "/api/v1/openapi.json", &[]).await;
        assert_eq!(document.json()["openapi"], "3.1.0");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_and_nothing_told_without_the_token() {
    with_central(async |central| {
        let document = get(central, "/api/v1/openapi.json", &[]).await.json();
        let mut asked = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            let path = path.replace("{id}", "loa-1").replace("{hash}", &"0".repeat(64));
            for (method, what) in methods.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters")
            {
                if what.get("security").is_some() {
                    continue;
                }
                for header in ["", "Bearer a-token-for-testz"] {
                    let headers = [("authorization", header)];
                    let answer = match method.as_str() {
                        "get" => get(central, &path, &headers).await,
                        _ => post_with(central, &path, &headers, b"{}".to_vec()).await,
                    };
                    assert_eq!(answer.status, 401, "{method} {path} {header}: {}", answer.text());
                    asked += 1;
                }
            }
        }
        assert!(asked >= 40, "{asked}");
        // Nobody was shut out, and nothing was sent.
        let key = central.store().enrolled("loa-1".parse().unwrap()).await.unwrap().unwrap().key;
        assert!(key.is_some());
        assert_eq!(get_api(central, "/api/v1/announcements").await.json(), json!([]));
        assert_eq!(get_api(central, "/api/v1/documents").await.json(), json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_every_route_that_answers() {
    with_central(async |central| {
        let document = get(central, "/api/v1/openapi.json", &[]).await.json();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let path = path.replace("{id}", "none");
            for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                let answer = match method.as_str() {
                    "get" => get_api(central, &path).await,
                    _ => post(central, &path, "text/plain", Vec::new()).await,
                };
                assert_ne!(answer.status, 405, "{method} {path}");
                assert!(answer.status != 404 || path.contains("none"), "{method} {path}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_come_page_by_page() {
    with_central(async |central| {
        for title in ["một", "hai", "ba"] {
            let fields = json!({ "to": ["xa"], "class": "normal", "title": title, "text": "Xin thông báo" });
            assert_eq!(announce(central, &fields, None).await.status, 201);
        }
        let titles = |page: &Value| -> Vec<String> {
            page.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
        };
        let first = get_api(central, "/api/v1/announcements?limit=2").await;
        assert_eq!(titles(&first.json()), ["ba", "hai"]);
        let link = first.header("link").to_owned();
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        let second = get_api(central, next).await;
        assert_eq!((titles(&second.json()), second.header("link")), (vec!["một".to_owned()], ""));
        assert_eq!(get_api(central, "/api/v1/announcements?before=nobody").await.status, 404);
    })
    .await;
}

async fn check(central: &Central, fields: Value, audio: Option<&[u8]>, status: u16, en: &str, vi: &str) {
    let answer = announce(central, &fields, audio).await;
    let said = answer.json();
    assert_eq!(answer.status, status, "{fields} {said}");
    assert!(said["error"].as_str().unwrap().contains(en), "{said}");
    assert!(said["error_vi"].as_str().unwrap().contains(vi), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_announcement_is_refused_in_a_plain_sentence() {
    with_central(async |central| {
        let wav = tone();
        let ok = Some(&wav[..]);
        let normal = |more: Value| {
            let mut fields = json!({ "to": ["xa"], "class": "normal" });
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fields
        };
        check(
            central,
            json!({ "to": [], "class": "normal" }),
            ok,
            400,
            "at least one group",
            "ít nhất một nhóm",
        )
        .await;
        check(
            central,
            json!({ "to": ["x9"], "class": "normal" }),
            ok,
            404,
            "no group x9",
            "không có nhóm x9",
        )
        .await;
        check(central, normal(json!({})), None, 400, "give audio or a text", "tệp âm thanh hoặc nội dung")
            .await;
        for repeat in [0, 101, 65_000] {
            check(central, normal(json!({ "repeat": repeat })), ok, 400, "1 to 100", "từ 1 đến 100").await;
        }
        check(central, normal(json!({ "expires_in_s": 0 })), ok, 400, "at least 10", "ít nhất 10 giây").await;
        let of_nothing = normal(json!({ "supersedes": "none" }));
        check(central, of_nothing, ok, 404, "no announcement none", "không có thông báo none").await;
        let emoji = normal(json!({ "text": "🚨🚨 !!" }));
        check(central, emoji, None, 400, "no letter or digit", "không có chữ hay số nào").await;
        let long = normal(json!({ "text": "ạ".repeat(12_000) }));
        check(central, long, None, 400, "12000 characters: at most 10922", "12000 ký tự: nhiều nhất 10922")
            .await;
        let long = normal(json!({ "text": "a ".repeat(9_000) }));
        check(central, long, None, 400, "17999 characters: at most 16800", "khoảng 20 phút").await;
        for percent in [0, 130] {
            let volume = normal(json!({ "volume_percent": percent }));
            check(central, volume, ok, 400, "1 to 100", "từ 1 đến 100").await;
        }
        check(central, normal(json!({ "at": "2020-01-01T00:00:00Z" })), ok, 400, "is past", "đã qua").await;
        check(central, normal(json!({ "expires_in_s": 9_000_000 })), ok, 400, "30 days", "30 ngày").await;
        check(central, normal(json!({ "loud": true })), ok, 400, "unknown field `loud`", "loud").await;
        check(
            central,
            normal(json!({})),
            Some(b"no sound at all"),
            400,
            "no audio that the boxes can play",
            "không phát được tệp này",
        )
        .await;
        check(central, normal(json!({})), Some(&wav[..30]), 400, "bai.wav", "bai.wav").await;
        let live_at_night = json!({ "to": ["xa"], "class": "extreme" });
        check(central, live_at_night, ok, 400, "unknown variant `extreme`", "extreme").await;
        assert_eq!(get_api(central, "/api/v1/announcements").await.json(), json!([]));

        let answer = post(central, "/api/v1/announcements/none/cancel", "text/plain", Vec::new()).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (404, Some("there is no announcement none"))
        );
        let answer = post(central, "/api/v1/announcements", "text/plain", Vec::new()).await;
        assert_eq!(answer.status, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_keys_may_not_do_is_refused_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers.truncate(1);
    let central = start(settings).await;
    let alone = json!({ "to": ["xa"], "class": "emergency" });
    check(&central, alone, Some(&tone()), 403, "1 of 2 signatures", "không có quyền").await;
    assert_eq!(get_api(&central, "/api/v1/announcements").await.json(), json!([]));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_spoken_at_central() {
    with_central(async |central| {
        let fields = json!({ "to": ["xa"], "class": "priority", "text": "Mời bà con đi tiêm phòng." });
        let answer = announce(central, &fields, None).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let announced = get_api(central, &format!("/api/v1/announcements/{id}")).await.json();
        assert_eq!(announced["title"], "Mời bà con đi tiêm phòng.");
        assert!(announced["command"]["body"]["media"]["ms"].as_u64().unwrap() > 800, "{announced}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_vietnamese_first_and_english_one_click_away() {
    with_central(async |central| {
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        let page = lan.get(central, "/").await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("lang=\"vi\"") && page.text().contains("Nhật ký phát"));
        assert!(page.text().contains("Thôn 1") && page.text().contains("1 mất liên lạc"));
        let outside = page.text().split("\"").filter(|part| part.starts_with("http")).count();
        assert_eq!(outside, 0, "nothing comes from another server");
        let click = lan.get(central, "/?lang=en").await;
        assert_eq!((click.status, click.header("location")), (303, "/"));
        let cookie = click.header("set-cookie").split(';').next().unwrap().to_owned();
        let cookies = format!("{cookie}; {}", lan.cookie);
        let page = get(central, "/", &[("cookie", &cookies)]).await;
        assert!(page.text().contains("lang=\"en\"") && page.text().contains("Playback log"));
        for asset in
            ["/assets/htmx.js", "/assets/loaxa.css", "/fragments/tong-quan", "/healthz", "/dang-nhap"]
        {
            assert_eq!(lan.get(central, asset).await.status, 200, "{asset}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_shown() {
    with_central(async |central| {
        let status = get_api(central, "/api/v1/status").await.json();
        assert_eq!(status["connected"], true);
        assert_eq!(status["since_start"]["messages_refused"], 0, "{status}");
        let stranger = ScriptedBox::connect(9, central.broker_addr().unwrap().port()).await;
        stranger.hello("n", stranger.holds(&[]));
        until("the stranger is counted", async || {
            let status = get_api(central, "/api/v1/status").await.json();
            (status["since_start"]["messages_refused"] == 1).then_some(())
        })
        .await;
        let lan = Staff::make(central, "lan", &[(Role::Technician, "xa")]).await;
        assert!(lan.get(central, "/canh-bao").await.text().contains("1 tin của cụm loa bị từ chối"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sits_at_the_server_signs_in_like_all_others() {
    with_central(async |central| {
        for (path, to) in [("/", "/dang-nhap"), ("/cum-loa/moi", "/dang-nhap?ve=%2Fcum-loa%2Fmoi")] {
            let stranger = get(central, path, &[]).await;
            assert_eq!((stranger.status, stranger.header("location")), (303, to), "{path}");
            for header in ["x-forwarded-for", "x-real-ip", "forwarded"] {
                assert_eq!(get(central, path, &[(header, "127.0.0.1")]).await.status, 303, "{path} {header}");
            }
            // A program's token opens the API and no page; a person's session opens pages and not the API.
            assert_eq!(get_api(central, path).await.status, 303);
        }
        let fragment = get(central, "/fragments/tong-quan", &[("hx-request", "true")]).await;
        assert_eq!((fragment.status, fragment.header("hx-redirect")), (401, "/dang-nhap"));
        let lan = Staff::make(central, "lan", &[(Role::Administrator, "xa")]).await;
        assert_eq!(lan.get(central, "/api/v1/boxes").await.status, 401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_for_this_host_and_not_to_be_sniffed() {
    with_central(async |central| {
        let paths = ["/", "/dang-nhap", "/healthz", "/api/v1/boxes", "/api/v1/none", "/none", "/live/none"];
        let media = format!("/media/{}", "0".repeat(64));
        for path in paths.into_iter().chain([media.as_str(), "/assets/sign/sign.js", "/media/x"]) {
            let answer = get(central, path, &[]).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            for host in ["evil.example", "localhost.evil.example:8080", "10.1.2.3"] {
                let other = get(central, path, &[("host", host)]).await;
                assert_eq!(
                    (other.status, other.header("x-content-type-options")),
                    (421, "nosniff"),
                    "{path} {host}"
                );
                assert!(other.json()["error"].as_str().unwrap().contains("hosts"));
            }
            let rebound =
                get(central, path, &[("host", "evil.example"), ("x-forwarded-host", "localhost")]).await;
            assert_eq!(rebound.status, 421, "{path}");
        }
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080"] {
            assert_eq!(get(central, "/healthz", &[("host", host)]).await.status, 200, "{host}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_to_others_without_tls_or_a_login() {
    let dir = tempfile::tempdir().unwrap();
    let others = "0.0.0.0:0".parse().unwrap();
    let mut open = settings(dir.path(), embedded());
    open.listen = others;
    let refused = Central::start(open).await.err().unwrap().to_string();
    assert!(refused.contains("without TLS"), "{refused}");
    let broker = BrokerChoice::Embedded { listen: others, logins: Logins::NameAlone };
    let refused = Central::start(settings(dir.path(), broker)).await.err().unwrap().to_string();
    assert!(refused.contains("any box's name"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_refused_in_both_languages() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    for path in [
        "/airings?village=%0D",
        "/airings?class=x",
        "/announcements/%0D",
        "/export?box=%20",
        "/log?limit=x",
        "/plays?from=yesterday",
        "/media/xyz",
        "/report?month=x",
    ] {
        let answer = get_api(&central, &format!("/api/v1{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{path}: {}", answer.text());
        let said = answer.json();
        assert!(said["error"].is_string() && said["error_vi"].is_string(), "{path}: {said}");
    }
    central.stop().await;
}
