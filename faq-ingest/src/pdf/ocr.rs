//! Pages that are images, handed to an engine of the caller's.
//!
//! Nothing is decoded here but what every stream may be packed in: the engine gets the JPEG,
//! the fax or the JBIG2 data as it stands in the file, or plain samples.

use lopdf::{Dictionary, Object, ObjectId, Stream};

use super::objects::Source;
use super::pages::PageText;
use crate::ParseError;

/// Images of one page that are handed on; a scan is one, or a few strips.
const MAX_IMAGES: usize = 32;
/// Images smaller than this on a side, in samples, are ornaments.
const LEAST_SIDE: u32 = 24;

/// Reads the text of images.
///
/// Given to [`PdfParser::with_ocr`](crate::PdfParser::with_ocr), it is asked for each page that
/// holds an image and no text, on the thread that parses, one image after the other. What it
/// gives becomes the page's paragraphs; an empty line parts two of them. The document's warnings
/// name each page that was read like this (`ocr_text`), or could not be (`ocr_failed`).
pub trait OcrEngine: Send + Sync {
    /// The text of an image, lines in reading order; empty where there is none.
    ///
    /// # Errors
    /// A sentence that says why the image could not be read. The document goes on without it.
    fn recognise(&self, image: &PageImage) -> Result<String, String>;
}

/// One image as it lies in a PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageImage {
    /// Page number from 1.
    pub page: u32,
    /// Samples in a row.
    pub width: u32,
    /// Rows of samples.
    pub height: u32,
    /// Quarter turns, clockwise, by which the page shows it; 0 for an upright one.
    pub quarter_turns: u8,
    /// What `data` holds.
    pub encoding: ImageEncoding,
    /// The image's bytes.
    pub data: Vec<u8>,
}

/// How the bytes of a [`PageImage`] are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageEncoding {
    /// A JPEG file.
    Jpeg,
    /// A JPEG 2000 file or codestream.
    Jpeg2000,
    /// A JBIG2 embedded stream, and the segments that it shares with others.
    Jbig2 {
        /// Global segments, to be read before the data.
        globals: Vec<u8>,
    },
    /// CCITT fax data, with the parameters of the PDF's filter.
    CcittFax {
        /// Below 0 Group 4, 0 Group 3 in one dimension, above 0 Group 3 in two.
        k: i32,
        /// Whether a 1 bit is black.
        black_is_1: bool,
        /// Whether each row begins at a byte.
        byte_aligned: bool,
    },
    /// Samples, row by row from the top, each row filled up to a whole byte.
    Pixels {
        /// Bits of one component: 1, 2, 4, 8 or 16.
        bits: u8,
        /// What the components mean.
        color: PixelColor,
    },
}

/// What the components of a pixel mean.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelColor {
    /// One component, 0 is black.
    Gray,
    /// One bit, 0 is drawn and 1 is not: a mask.
    Mask,
    /// Red, green, blue.
    Rgb,
    /// Cyan, magenta, yellow, black.
    Cmyk,
    /// One component, an index into colours of `components` bytes each.
    Indexed {
        /// Bytes a colour: 1 for gray, 3 for RGB, 4 for CMYK.
        components: u8,
        /// The colours, one after the other.
        palette: Vec<u8>,
    },
}

/// An engine with the document whose images it is to read.
pub(super) struct Reader<'r, 'a> {
    pub(super) engine: &'r dyn OcrEngine,
    pub(super) source: Source<'a>,
}

/// What the engine made of one page.
#[derive(Debug, Default)]
pub(super) struct Recognised {
    pub(super) text: String,
    pub(super) errors: Vec<String>,
}

impl Reader<'_, '_> {
    /// The text of a page's images, the largest first.
    pub(super) fn page(&self, page: &PageText, number: u32) -> Result<Recognised, ParseError> {
        let mut out = Recognised::default();
        for &(id, turns) in page.images.iter().take(MAX_IMAGES) {
            self.source.budget.check_clock()?;
            let image = match self.image(id, number, turns)? {
                Ok(image) => image,
                Err(why) => {
                    out.errors.push(why);
                    continue;
                }
            };
            if image.width < LEAST_SIDE || image.height < LEAST_SIDE {
                continue;
            }
            match self.engine.recognise(&image) {
                Ok(text) => {
                    if !out.text.is_empty() {
                        out.text.push_str("\n\n");
                    }
                    out.text.push_str(text.trim());
                }
                Err(why) => out.errors.push(why),
            }
        }
        Ok(out)
    }

    fn image(
        &self,
        id: ObjectId,
        page: u32,
        quarter_turns: u8,
    ) -> Result<Result<PageImage, String>, ParseError> {
        let source = &self.source;
        let Ok(Object::Stream(stream)) = source.doc.get_object(id) else {
            return Ok(Err("an image is missing from the file".to_owned()));
        };
        let side = |key: &[u8]| {
            source
                .get_number(&stream.dict, key)
                .filter(|n| (1.0..=100_000.0).contains(n))
                .map(|n| n as u32)
        };
        let (Some(width), Some(height)) = (side(b"Width"), side(b"Height")) else {
            return Ok(Err("an image does not say how large it is".to_owned()));
        };
        let (data, codec) = source.packed(stream)?;
        let (encoding, kind) = match codec {
            Some((name, parameters)) => {
                let kind = String::from_utf8_lossy(&name).into_owned();
                (self.coded(&name, parameters.as_ref())?, kind)
            }
            None => (
                self.pixels(stream)?,
                "samples of unknown colours".to_owned(),
            ),
        };
        let Some(encoding) = encoding else {
            return Ok(Err(format!("an image is made of {kind}")));
        };
        Ok(Ok(PageImage {
            page,
            width,
            height,
            quarter_turns,
            encoding,
            data,
        }))
    }

    fn coded(
        &self,
        name: &[u8],
        parameters: Option<&Dictionary>,
    ) -> Result<Option<ImageEncoding>, ParseError> {
        let source = &self.source;
        let flag = |key: &[u8]| {
            let found = parameters.and_then(|p| p.get(key).ok());
            found.is_some_and(|o| matches!(o, Object::Boolean(true)))
        };
        Ok(Some(match name {
            b"DCTDecode" | b"DCT" => ImageEncoding::Jpeg,
            b"JPXDecode" => ImageEncoding::Jpeg2000,
            b"JBIG2Decode" => {
                let globals = parameters
                    .and_then(|p| p.get(b"JBIG2Globals").ok())
                    .and_then(|o| source.doc.dereference(o).ok());
                ImageEncoding::Jbig2 {
                    globals: match globals {
                        Some((_, Object::Stream(stream))) => source.data(stream)?,
                        _ => Vec::new(),
                    },
                }
            }
            b"CCITTFaxDecode" | b"CCF" => ImageEncoding::CcittFax {
                k: parameters
                    .and_then(|p| p.get(b"K").ok())
                    .and_then(|o| o.as_float().ok())
                    .unwrap_or(0.0) as i32,
                black_is_1: flag(b"BlackIs1"),
                byte_aligned: flag(b"EncodedByteAlign"),
            },
            _ => return Ok(None),
        }))
    }

    fn pixels(&self, stream: &Stream) -> Result<Option<ImageEncoding>, ParseError> {
        let source = &self.source;
        let found = |key: &[u8]| {
            let object = stream.dict.get(key).ok()?;
            source.doc.dereference(object).ok().map(|(_, o)| o)
        };
        if matches!(found(b"ImageMask"), Some(Object::Boolean(true))) {
            return Ok(Some(ImageEncoding::Pixels {
                bits: 1,
                color: PixelColor::Mask,
            }));
        }
        let bits = found(b"BitsPerComponent")
            .and_then(|o| o.as_i64().ok())
            .unwrap_or(8);
        if !matches!(bits, 1 | 2 | 4 | 8 | 16) {
            return Ok(None);
        }
        let Some(space) = found(b"ColorSpace") else {
            return Ok(None);
        };
        let color = match components(source, space) {
            Some(1) => PixelColor::Gray,
            Some(3) => PixelColor::Rgb,
            Some(4) => PixelColor::Cmyk,
            Some(_) => return Ok(None),
            None => match indexed(source, space)? {
                Some(color) => color,
                None => return Ok(None),
            },
        };
        Ok(Some(ImageEncoding::Pixels {
            bits: bits as u8,
            color,
        }))
    }
}

fn direct<'o>(source: &'o Source<'_>, object: &'o Object) -> &'o Object {
    source
        .doc
        .dereference(object)
        .map_or(&Object::Null, |(_, found)| found)
}

/// Components of a colour space, or `None` where it is none of the plain ones.
fn components(source: &Source<'_>, space: &Object) -> Option<u8> {
    let family = match space {
        Object::Name(name) => name.as_slice(),
        Object::Array(parts) => direct(source, parts.first()?).as_name().ok()?,
        _ => return None,
    };
    match family {
        b"DeviceGray" | b"CalGray" | b"G" => Some(1),
        b"DeviceRGB" | b"CalRGB" | b"RGB" => Some(3),
        b"DeviceCMYK" | b"CMYK" => Some(4),
        b"ICCBased" => {
            let profile = direct(source, space.as_array().ok()?.get(1)?);
            let n = profile.as_stream().ok()?.dict.get(b"N").ok()?;
            u8::try_from(direct(source, n).as_i64().ok()?).ok()
        }
        _ => None,
    }
}

fn indexed(source: &Source<'_>, space: &Object) -> Result<Option<PixelColor>, ParseError> {
    let Object::Array(parts) = space else {
        return Ok(None);
    };
    let [family, base, _, table] = parts.as_slice() else {
        return Ok(None);
    };
    if !matches!(direct(source, family).as_name(), Ok(b"Indexed" | b"I")) {
        return Ok(None);
    }
    let Some(components) = components(source, direct(source, base)) else {
        return Ok(None);
    };
    let palette = match direct(source, table) {
        Object::String(bytes, _) => bytes.clone(),
        Object::Stream(stream) => source.data(stream)?,
        _ => return Ok(None),
    };
    Ok(Some(PixelColor::Indexed {
        components,
        palette,
    }))
}
