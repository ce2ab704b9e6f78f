//! A QR code drawn by the server as SVG, dark on white in both themes: cameras read no other.

use askama::Template;
use qrcodegen::{QrCode, QrCodeEcc};

/// White modules around the code; the standard asks for four.
const QUIET: i32 = 4;

/// A text as a QR code.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r##"{% if !path.is_empty() %}<svg class="qr" viewBox="0 0 {{ size }} {{ size }}" shape-rendering="crispEdges" role="img" aria-label="{{ label }}"><rect width="{{ size }}" height="{{ size }}" fill="#fff"/><path d="{{ path }}" fill="#000"/></svg>{% endif %}"##
)]
pub(crate) struct Qr {
    label: &'static str,
    size: i32,
    path: String,
}

impl askama::filters::HtmlSafe for Qr {}

impl Qr {
    /// `text` as a code, said as `label`; nothing when it is too long for one.
    pub(crate) fn of(text: &str, label: &'static str) -> Self {
        let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Low) else {
            return Self { label, size: 0, path: String::new() };
        };
        let mut path = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let run = (x..code.size()).take_while(|x| code.get_module(*x, y)).count() as i32;
                if run > 0 {
                    path.push_str(&format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET));
                }
                x += run.max(1);
            }
        }
        Self { label, size: code.size() + 2 * QUIET, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once() {
        let text = "qxj1_".to_owned() + &"Ab3-".repeat(60);
        let code = QrCode::encode_text(&text, QrCodeEcc::Low).expect("it fits");
        let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let dark = dark.filter(|(x, y)| code.get_module(*x, *y)).count();
        let drawn = Qr::of(&text, "Token").path;
        let runs =
            drawn.split('M').skip(1).filter_map(|run| run.split(['h', 'v']).nth(1)?.parse::<usize>().ok());
        assert_eq!(runs.sum::<usize>(), dark);
    }

    #[test]
    fn what_is_too_long_is_not_drawn() {
        assert_eq!(Qr::of(&"x".repeat(5000), "Token").to_string(), "");
    }
}
