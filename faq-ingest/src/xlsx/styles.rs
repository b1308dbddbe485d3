//! Cell styles: which number format a cell has.

use std::collections::HashMap;

use super::date::Epoch;
use super::number::NumberFormat;
use crate::limits::Budget;
use crate::xml::{Token, Xml};
use crate::{Format, ParseError};

/// Number formats by the index that cells carry.
#[derive(Debug, Default)]
pub(super) struct Styles {
    cells: Vec<NumberFormat>,
}

impl Styles {
    pub(super) fn read(part: Option<&str>, budget: &Budget) -> Result<Self, ParseError> {
        let Some(part) = part else {
            return Ok(Self::default());
        };
        let mut codes: HashMap<u32, String> = HashMap::new();
        let mut cells = Vec::new();
        let mut in_cells = false;
        let mut xml = Xml::new(part, Format::Xlsx, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) => match e.name() {
                    "numFmt" => {
                        let id = e.attribute("numFmtId").and_then(|v| v.parse().ok());
                        if let (Some(id), Some(code)) = (id, e.attribute("formatCode")) {
                            codes.insert(id, code);
                        }
                    }
                    "cellXfs" => in_cells = true,
                    "xf" if in_cells => {
                        let id = e.attribute("numFmtId").and_then(|v| v.parse().ok());
                        let id: u32 = id.unwrap_or(0);
                        let code = codes.get(&id).map(String::as_str);
                        cells.push(NumberFormat::new(
                            code.or(built_in(id)).unwrap_or("General"),
                        ));
                    }
                    _ => {}
                },
                Token::Close(name) if name == "cellXfs" => in_cells = false,
                _ => {}
            }
        }
        Ok(Self { cells })
    }

    /// `number` as a cell of style `index` shows it.
    pub(super) fn shown(&self, number: f64, index: usize, epoch: Epoch) -> String {
        match self.cells.get(index) {
            Some(format) => format.shown(number, epoch),
            None => super::general(number),
        }
    }
}

/// Codes of the formats that files name by number alone (ECMA-376, 18.8.30).
fn built_in(id: u32) -> Option<&'static str> {
    Some(match id {
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        12 => "# ?/?",
        13 => "# ??/??",
        14 => "yyyy-mm-dd",
        15 => "d-mmm-yy",
        16 => "d-mmm",
        17 => "mmm-yy",
        18 => "h:mm AM/PM",
        19 => "h:mm:ss AM/PM",
        20 => "h:mm",
        21 => "h:mm:ss",
        22 => "yyyy-mm-dd h:mm",
        37 | 38 => "#,##0;(#,##0)",
        39 | 40 => "#,##0.00;(#,##0.00)",
        45 => "mm:ss",
        46 => "[h]:mm:ss",
        47 => "mm:ss.0",
        48 => "##0.0E+0",
        49 => "@",
        _ => return None,
    })
}
