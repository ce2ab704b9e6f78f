//! Pictures of screens: QEMU's as PNG, whatever it made, and small ones for lists.

use png::{BitDepth, ColorType, Decoder, Encoder, Transformations};
use std::io::Cursor;

/// Width of a small picture, pixels.
pub const SMALL: usize = 320;
/// Most pixels of a picture that is made small: an 8K screen.
const PIXELS_MAX: usize = 7680 * 4320;

/// Rows of red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// The picture as PNG.
///
/// # Errors
/// When it is neither that nor a PPM, the format of older versions.
pub fn png(taken: Vec<u8>) -> Result<Vec<u8>, String> {
    if taken.starts_with(b"\x89PNG\r\n\x1a\n") { Ok(taken) } else { ppm(&taken)?.png() }
}

/// The picture as a PNG that is at most [`SMALL`] pixels wide.
///
/// # Errors
/// The same.
pub fn small(taken: &[u8]) -> Result<Vec<u8>, String> {
    let picture = if taken.starts_with(b"\x89PNG") { decoded(taken)? } else { ppm(taken)? };
    picture.shrunk().png()
}

fn decoded(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size =
        reader.output_buffer_size().filter(|s| *s <= 4 * PIXELS_MAX).ok_or("the picture is too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|e| e.to_string())?;
    pixels.truncate(frame.buffer_size());
    let rgb = match frame.color_type {
        ColorType::Rgb => pixels,
        ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        ColorType::Grayscale => pixels.iter().flat_map(|g| [*g; 3]).collect(),
        ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        ColorType::Indexed => return Err("the picture's colours can't be read".into()),
    };
    Ok(Picture { width: frame.width as usize, height: frame.height as usize, rgb })
}

/// A binary PPM: `P6`, width, height, 255, each followed by one blank or comments, then the pixels.
fn ppm(bytes: &[u8]) -> Result<Picture, String> {
    let odd = || "the picture is neither PNG nor PPM".to_owned();
    let mut rest = bytes.strip_prefix(b"P6").ok_or_else(odd)?;
    let mut numbers = [0_usize; 3];
    for number in &mut numbers {
        loop {
            rest = rest.trim_ascii_start();
            match rest.strip_prefix(b"#") {
                Some(comment) => {
                    let end = comment.iter().position(|b| *b == b'\n').ok_or_else(odd)?;
                    rest = &comment[end..];
                }
                None => break,
            }
        }
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(&rest[..digits]).map_err(|_| odd())?;
        *number = text.parse().map_err(|_| odd())?;
        rest = &rest[digits..];
    }
    let [width, height, most] = numbers;
    let length = width.checked_mul(height).filter(|n| (1..=PIXELS_MAX).contains(n)).ok_or_else(odd)? * 3;
    match rest.get(1..=length) {
        Some(rgb) if most == 255 => Ok(Picture { width, height, rgb: rgb.to_vec() }),
        Some(_) | None => Err(odd()),
    }
}

impl Picture {
    /// Each pixel of the smaller picture is the mean of those it stands for.
    fn shrunk(self) -> Self {
        if self.width <= SMALL || self.height == 0 {
            return self;
        }
        let (width, height) = (SMALL, (self.height * SMALL / self.width).max(1));
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let rows =
                y * self.height / height..((y + 1) * self.height / height).max(y * self.height / height + 1);
            for x in 0..width {
                let columns = x * self.width / width..(x + 1) * self.width / width;
                let (mut sum, mut count) = ([0_usize; 3], 0);
                for row in rows.clone() {
                    for column in columns.clone() {
                        let at = (row * self.width + column) * 3;
                        for (sum, value) in sum.iter_mut().zip(&self.rgb[at..at + 3]) {
                            *sum += usize::from(*value);
                        }
                        count += 1;
                    }
                }
                rgb.extend(sum.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)));
            }
        }
        Self { width, height, rgb }
    }

    fn png(&self) -> Result<Vec<u8>, String> {
        let size = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, size(self.width)?, size(self.height)?);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
        writer.write_image_data(&self.rgb).map_err(|e| e.to_string())?;
        writer.finish().map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize) -> Vec<u8> {
        let mut bytes = format!("P6\n# a comment\n{width} {height}\n255\n").into_bytes();
        bytes.extend(
            (0..width * height).flat_map(|n| if n % width < width / 2 { [200, 0, 0] } else { [0, 0, 100] }),
        );
        bytes
    }

    #[test]
    fn old_pictures_become_png_and_png_stays_as_it_is() {
        let made = png(picture(4, 2)).expect("a picture");
        let read = decoded(&made).expect("a PNG");
        assert_eq!((read.width, read.height, &read.rgb[..3]), (4, 2, &[200, 0, 0][..]));
        assert_eq!(png(made.clone()).expect("the same"), made);
    }

    #[test]
    fn a_small_picture_keeps_its_shape_and_its_colours() {
        for large in [picture(1280, 800), png(picture(1280, 800)).expect("a picture")] {
            let read = decoded(&small(&large).expect("small")).expect("a PNG");
            assert_eq!((read.width, read.height), (SMALL, 200));
            assert_eq!(&read.rgb[..3], &[200, 0, 0]);
            assert_eq!(&read.rgb[SMALL * 3 - 3..SMALL * 3], &[0, 0, 100]);
        }
        let tiny = decoded(&small(&picture(10, 3)).expect("small")).expect("a PNG");
        assert_eq!((tiny.width, tiny.height), (10, 3));
        let flat = decoded(&small(&picture(1000, 1)).expect("small")).expect("a PNG");
        assert_eq!((flat.width, flat.height), (SMALL, 1));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for odd in [
            &b""[..],
            b"GIF89a",
            b"P6 9 9 255 short",
            b"P6 99999999999 99999999999 255 ",
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert!(small(odd).is_err(), "{odd:?}");
        }
    }
}
