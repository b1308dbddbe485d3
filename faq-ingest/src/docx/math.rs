//! Equations (Office MathML) on one line, as they are typed: `x=(-b±√(b^2-4ac))/(2a)`.

use crate::xml::Element;

/// An equation that is being read: its open elements, outermost first.
#[derive(Debug, Default)]
pub(super) struct Math {
    open: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    name: String,
    text: String,
    /// Parts that are put together when the element ends.
    numerator: String,
    degree: String,
    /// Operator of a sum or integral, or an accent.
    operator: Option<String>,
    begin: Option<String>,
    end: Option<String>,
    separator: Option<String>,
    /// Elements of a list so far.
    elements: usize,
}

impl Math {
    /// Begins an equation.
    pub(super) fn new() -> Self {
        Self {
            open: vec![Part::default()],
        }
    }

    pub(super) fn open(&mut self, element: &Element<'_>) {
        let value = || Some(element.val().unwrap_or_default());
        // Properties stand inside an element of their own below what they describe.
        if let [.., owner, _] = self.open.as_mut_slice() {
            match element.name() {
                "chr" => owner.operator = value(),
                "begChr" => owner.begin = value(),
                "endChr" => owner.end = value(),
                "sepChr" => owner.separator = value(),
                _ => {}
            }
        }
        self.open.push(Part {
            name: element.name().to_owned(),
            ..Part::default()
        });
    }

    pub(super) fn text(&mut self, text: &str) {
        if let Some(part) = self.open.last_mut().filter(|part| part.name == "t") {
            part.text.push_str(text);
        }
    }

    /// Ends an element; gives the whole where it was the equation itself.
    pub(super) fn close(&mut self) -> Option<String> {
        let part = self.open.pop()?;
        let Some(around) = self.open.last_mut() else {
            return Some(part.text);
        };
        let text = &part.text;
        match part.name.as_str() {
            "num" => around.numerator.clone_from(text),
            "deg" => around.degree.clone_from(text),
            "f" => {
                let fraction = format!("{}/{}", grouped(&part.numerator), grouped(text));
                around.text.push_str(&fraction);
            }
            "sup" => add(around, "^", text),
            "sub" => add(around, "_", text),
            "lim" => add(
                around,
                if around.name == "limUpp" { "^" } else { "_" },
                text,
            ),
            "rad" => {
                let root = format!("{}√{}", part.degree, grouped(text));
                around.text.push_str(&root);
            }
            "nary" => {
                around
                    .text
                    .push_str(part.operator.as_deref().unwrap_or("∫"));
                around.text.push_str(text);
            }
            "d" => {
                around.text.push_str(part.begin.as_deref().unwrap_or("("));
                around.text.push_str(text);
                around.text.push_str(part.end.as_deref().unwrap_or(")"));
            }
            "e" => {
                if around.elements > 0 {
                    let separator = match around.name.as_str() {
                        "d" => around.separator.as_deref().unwrap_or("|"),
                        "mr" => ", ",
                        "eqArr" => "; ",
                        _ => "",
                    };
                    let separator = separator.to_owned();
                    around.text.push_str(&separator);
                } else if around.name == "nary" && !around.text.is_empty() {
                    around.text.push(' ');
                }
                around.elements += 1;
                around.text.push_str(text);
            }
            "mr" => {
                if !around.text.is_empty() {
                    around.text.push_str("; ");
                }
                around.text.push_str(text);
            }
            "fName" => {
                around.text.push_str(text);
                around.text.push(' ');
            }
            _ => around.text.push_str(text),
        }
        None
    }
}

fn add(around: &mut Part, sign: &str, text: &str) {
    if !text.trim().is_empty() {
        around.text.push_str(sign);
        around.text.push_str(&grouped(text));
    }
}

/// In brackets where it is more than a number or a letter.
fn grouped(text: &str) -> String {
    let text = text.trim();
    let number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let bracketed = text.starts_with('(') && text.find(')') == Some(text.len() - 1);
    if number || bracketed || text.chars().count() == 1 {
        text.to_owned()
    } else {
        format!("({text})")
    }
}
