//! The list of contents: SPDX 2.3 in JSON. It names what is inside with version, licence and hash, and every
//! deviation from the lock file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::alpine::{self, Installed};
use crate::debian::Deb;
use crate::inputs::Inputs;
use crate::linked::Linked;
use crate::{glibc, licences, tree};

/// Packages of the root that are ours and are listed by what is inside them instead.
const OURS: [&str; 4] = ["hostd", "linux", "firmware", glibc::NAME];

/// The set whose packages give licence texts only; none of their programs is inside.
const TEXTS_ONLY: &str = "licences";

/// What is listed.
pub struct Contents<'a> {
    /// Product, version, build.
    pub title: &'a str,
    /// SHA-256 of the ISO.
    pub iso: &'a str,
    /// SHA-256 of the daemon.
    pub hostd: &'a str,
    /// What it is linked from.
    pub linked: &'a [Linked],
    /// The installed root.
    pub root: &'a Path,
    /// Directories of copyright files.
    pub texts: &'a [PathBuf],
    /// Where it came from.
    pub inputs: &'a Inputs,
}

/// Writes the list to `out`.
pub fn write(contents: &Contents<'_>, out: &Path) -> Result<()> {
    let installed = alpine::parse_installed(&fs::read_to_string(contents.root.join(alpine::DATABASE))?)?;
    let mut packages = vec![iso(contents), hostd(contents), wheel(contents)];
    packages.extend(contents.linked.iter().map(linked_package));
    packages.extend(installed.iter().filter(|p| !OURS.contains(&p.name.as_str())).map(alpine_package));
    let shipped = contents.inputs.debs.iter().filter(|(set, _)| *set != TEXTS_ONLY);
    for deb in shipped.flat_map(|(_, debs)| debs) {
        packages.push(debian_package(deb, contents.texts));
    }
    let inside = packages[1..].iter().map(|p| {
        json!({
            "spdxElementId": "SPDXRef-iso",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": p["SPDXID"],
        })
    });
    let describes = json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-iso",
    });
    let relationships: Vec<Value> = std::iter::once(describes).chain(inside).collect();
    let deviations: Vec<String> = contents.inputs.deviations.iter().map(ToString::to_string).collect();
    let comment = if deviations.is_empty() {
        "All inputs are those of the lock file.".to_owned()
    } else {
        format!("Deviations from the lock file: {}", deviations.join("; "))
    };
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": contents.title,
        "documentNamespace": format!("https://spdx.org/spdxdocs/quantix-{}", contents.iso),
        "creationInfo": {
            "created": utc(contents.inputs.epoch),
            "creators": [concat!("Tool: image-build-", env!("CARGO_PKG_VERSION"))],
            "comment": comment,
        },
        "packages": packages,
        "relationships": relationships,
    });
    let mut text = serde_json::to_string_pretty(&document).context("cannot write the list of contents")?;
    text.push('\n');
    tree::write(out, text.as_bytes())
}

fn iso(contents: &Contents<'_>) -> Value {
    package("iso", contents.title, env!("CARGO_PKG_VERSION"), None, Some(contents.iso), None)
}

fn hostd(contents: &Contents<'_>) -> Value {
    let licence = Some("Apache-2.0".to_owned());
    package("hostd", "hostd", env!("CARGO_PKG_VERSION"), licence, Some(contents.hostd), None)
}

fn linked_package(l: &Linked) -> Value {
    let id = format!("{}-{}-{}", l.registry, id_part(&l.name), id_part(&l.version));
    // The `@` of a scope is not plain in a package URL.
    let purl = format!("pkg:{}/{}@{}", l.registry, l.name.replace('@', "%40"), l.version);
    package(&id, &l.name, &l.version, l.licence.clone(), None, Some(purl))
}

fn wheel(contents: &Contents<'_>) -> Value {
    let wheel = &contents.inputs.lock.wheel;
    let purl = format!("pkg:pypi/{}@{}", wheel.name, wheel.version);
    package("alpine-base", &wheel.name, &wheel.version, None, Some(&wheel.sha256), Some(purl))
}

fn alpine_package(p: &Installed) -> Value {
    let id = format!("alpine-{}", id_part(&p.name));
    let purl = format!("pkg:apk/alpine/{}@{}?arch=x86_64", p.name, p.version);
    package(&id, &p.name, &p.version, licences::alpine_expression(&p.license), None, Some(purl))
}

fn debian_package(deb: &Deb, texts: &[PathBuf]) -> Value {
    let e = &deb.entry;
    let text = texts.iter().find_map(|dir| fs::read_to_string(dir.join(&e.name)).ok()).unwrap_or_default();
    let names = licences::names(&text);
    let id = format!("debian-{}-{}", e.set, id_part(&e.name));
    let purl = format!("pkg:deb/debian/{}@{}?arch=amd64&distro={}", e.name, e.version, crate::debian::SUITE);
    let licence = licences::expression(&names);
    let mut value = package(&id, &e.name, &e.version, licence, Some(&e.sha256), Some(purl));
    if !names.is_empty() {
        let names: Vec<String> = names.into_iter().collect();
        value["licenseComments"] = format!("Names in the copyright file: {}", names.join(", ")).into();
    }
    value
}

fn package(
    id: &str,
    name: &str,
    version: &str,
    licence: Option<String>,
    sha256: Option<&str>,
    purl: Option<String>,
) -> Value {
    let licence = licence.unwrap_or_else(|| "NOASSERTION".to_owned());
    let mut value = json!({
        "SPDXID": format!("SPDXRef-{id}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    });
    if let Some(hash) = sha256 {
        value["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": hash }]);
    }
    if let Some(purl) = purl {
        value["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }]);
    }
    value
}

/// SPDX ids allow letters, digits, dots and dashes.
fn id_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' }).collect()
}

/// Seconds since 1970 as `YYYY-MM-DDThh:mm:ssZ`.
fn utc(epoch: u64) -> String {
    let (days, second) = (epoch / 86_400, epoch % 86_400);
    let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_763_714_096), "2025-11-21T08:34:56Z");
    }

    #[test]
    fn ids_hold_no_odd_characters() {
        assert_eq!(id_part("libstdc++6"), "libstdc--6");
    }

    #[test]
    fn unknown_licence_is_no_assertion() {
        let value = package("x", "x", "1", None, None, None);
        assert_eq!(value["licenseDeclared"], "NOASSERTION");
        assert!(value.get("checksums").is_none());
    }
}
