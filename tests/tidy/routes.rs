//! The API's document and its routes say the same, both ways.

use std::collections::BTreeSet;
use std::fs;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::source::{files_under, root, sources};

/// The methods that a route may be given.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Routes under `/api/v1` in the code of central: `POST /api/v1/stop`.
fn routes_in(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (n, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let called = n > 0 && matches!(&tokens[n - 1], TokenTree::Ident(ident) if ident == "route");
        if !called {
            routes_in(group.stream(), found);
            continue;
        }
        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
        let Some(TokenTree::Literal(path)) = inside.first() else { continue };
        let path = path.to_string().trim_matches('"').to_owned();
        for pair in inside.windows(2) {
            if let [TokenTree::Ident(method), TokenTree::Group(_)] = pair {
                let method = method.to_string();
                if METHODS.contains(&method.as_str()) {
                    found.insert(format!("{} /api/v1{path}", method.to_uppercase()));
                }
            }
        }
    }
}

/// Operations of an OpenAPI document.
fn documented(document: &str) -> BTreeSet<String> {
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| METHODS.contains(&key.as_str()));
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[test]
fn every_route_is_documented_and_the_reverse() {
    let mut routes = BTreeSet::new();
    for source in sources().iter().filter(|source| source.path.contains("/api")) {
        routes_in(source.code.to_token_stream(), &mut routes);
    }
    assert!(routes.len() > 10, "the routes of the API were not found: {routes:?}");
    let document =
        files_under("src/central", "json").into_iter().find(|path| path.ends_with("openapi.json")).unwrap();
    let documented = documented(&fs::read_to_string(root().join(document)).unwrap());
    let document_itself = "GET /api/v1/openapi.json".to_owned();
    let missing = routes.difference(&documented).filter(|route| **route != document_itself);
    crate::assert_none(missing.cloned().collect(), "routes without a word in openapi.json");
    let invented = documented.difference(&routes).filter(|route| **route != document_itself);
    crate::assert_none(invented.cloned().collect(), "operations of openapi.json without a route");
}

#[test]
fn planted_routes_are_found() {
    let code = r#"Router::new().route("/a", get(a).post(b).layer(c())).route("/d/{id}", delete(d))"#;
    let mut found = BTreeSet::new();
    routes_in(code.parse().unwrap(), &mut found);
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found, ["DELETE /api/v1/d/{id}", "GET /api/v1/a", "POST /api/v1/a"]);
    let document = r#"{"paths": {"/api/v1/a": {"get": {}, "parameters": []}}}"#;
    assert_eq!(documented(document).into_iter().collect::<Vec<_>>(), ["GET /api/v1/a"]);
}
