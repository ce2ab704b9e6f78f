//! Weight of the first pages, and that vendored files are the ones their packages hold.

use super::empty_pages::empty;
use super::every_page::{full, listed};
use crate::assets::{Static, Vendor};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Bytes of the first view of a page on the wire.
const BUDGET: usize = 40_960;

/// Size after compression, as `gzip -6` makes it.
fn packed(bytes: &[u8]) -> usize {
    let mut gzip =
        Command::new("gzip").arg("-6c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    let mut input = gzip.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let size = gzip.wait_with_output().expect("gzip ends").stdout.len();
    writer.join().expect("the writer ends").expect("gzip reads");
    size
}

fn weight(html: &str) -> usize {
    let names: BTreeSet<_> = html
        .split("/assets/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next()?.split_once('/').map(|(_, name)| name.to_owned()))
        .collect();
    assert!(names.contains("app.css"));
    let assets = names.iter().map(|name| packed(&Static::get(name).expect(name).data));
    packed(html.as_bytes()) + assets.sum::<usize>()
}

#[test]
fn the_first_pages_are_light() {
    let login = full("").into_iter().find(|(n, _)| *n == "login").expect("the login page").1;
    let empty_list = empty().into_iter().find(|(n, _)| *n == "empty-vms").expect("the empty list").1;
    let named = |name: &str| full("").into_iter().find(|(n, _)| *n == name).expect(name).1;
    let of_cluster = ["cluster", "cluster-fresh", "join", "vms", "overview"].map(|name| (name, named(name)));
    for (name, html) in of_cluster {
        let weight = weight(&html);
        println!("{name}: {weight} bytes");
        assert!(weight <= BUDGET, "{name} weighs {weight} bytes");
    }
    for (name, html) in [("login", login), ("no machines", empty_list), ("50 machines", listed(50))] {
        let weight = weight(&html);
        println!("{name}: {weight} bytes");
        assert!(weight <= BUDGET, "{name} weighs {weight} bytes");
    }
}

#[test]
fn both_themes_are_there_and_scripts_are_short() {
    let css = Static::get("app.css").expect("app.css");
    let css = std::str::from_utf8(&css.data).expect("text");
    assert!(css.contains("color-scheme: light dark") && css.contains("light-dark("));
    assert!(css.contains("[data-theme=\"dark\"]") && css.contains("[data-theme=\"light\"]"));
    assert!(css.lines().count() <= 600);
    assert!(css.contains(":focus-visible") && css.contains("prefers-reduced-motion"));
    for script in ["live.js", "upload.js", "wizard.js"] {
        let file = Static::get(script).expect(script);
        assert!(file.data.iter().filter(|b| **b == b'\n').count() <= 150, "{script}");
    }
}

#[test]
fn vendored_files_are_the_listed_ones_with_their_licences() {
    let listing = Vendor::get("vendor.json").expect("vendor.json");
    let listing: serde_json::Value = serde_json::from_slice(&listing.data).expect("JSON");
    let mut listed = BTreeSet::from(["vendor.json".to_owned()]);
    for package in listing["packages"].as_array().expect("packages") {
        assert!(package["integrity"].as_str().expect("integrity").starts_with("sha512-"));
        let files = package["files"].as_array().expect("files");
        let licence = package["licence"].as_str().expect("a licence");
        assert!(files.iter().any(|f| f["to"] == licence), "{licence}");
        for file in files {
            let to = file["to"].as_str().expect("a path");
            let data = Vendor::get(to).unwrap_or_else(|| panic!("{to} is missing")).data;
            assert_eq!(hex::encode(Sha256::digest(&data)), file["sha256"].as_str().expect("a hash"), "{to}");
            listed.insert(to.to_owned());
        }
    }
    let there: BTreeSet<_> = Vendor::iter().map(|n| n.to_string()).collect();
    assert_eq!(there, listed);
}
