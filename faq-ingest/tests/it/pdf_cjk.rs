//! East Asian fonts that are neither embedded nor mapped: the name of their CMap says what the
//! codes mean.

use crate::pdf_file::{Pdf, texts};

#[test]
fn predefined_cmaps_name_a_character_set() {
    for (encoding, ordering, codes, text) in [
        ("90ms-RKSJ-H", "Japan1", "93FA967B8CEA41B1", "日本語Aｱ"),
        ("90msp-RKSJ-V", "Japan1", "93FA967B8CEA", "日本語"),
        ("EUC-H", "Japan1", "C6FCCBDCB8EC", "日本語"),
        ("UniJIS-UCS2-H", "Japan1", "65E5672C8A9E", "日本語"),
        ("GBK-EUC-H", "GB1", "D6D0CEC441", "中文A"),
        ("GBKp-EUC-H", "GB1", "D6D0CEC4", "中文"),
        ("GB-EUC-H", "GB1", "D6D0CEC4", "中文"),
        ("UniGB-UTF16-H", "GB1", "4E2D6587D842DFB7", "中文𠮷"),
        ("ETen-B5-H", "CNS1", "A4A4A4E541", "中文A"),
        ("KSCms-UHC-H", "Korea1", "C7D1B1B941", "한국A"),
        ("KSC-EUC-H", "Korea1", "C7D1B1B9", "한국"),
    ] {
        let mut pdf = Pdf::new();
        let descendant = pdf.add(&format!(
            "<</Type/Font/Subtype/CIDFontType0/BaseFont/X/DW 1000\
             /CIDSystemInfo<</Registry(Adobe)/Ordering({ordering})/Supplement 2>>>>"
        ));
        let font = pdf.add(&format!(
            "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/{encoding}\
             /DescendantFonts[{descendant} 0 R]>>"
        ));
        let content = pdf.stream("", &format!("BT /J 10 Tf 72 700 Td <{codes}> Tj ET"));
        let page = pdf.add(&format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {content} 0 R\
             /Resources<</Font<</J {font} 0 R>>>>>>"
        ));
        pdf.page_tree(&[page]);
        let found: String = texts(&pdf.parse()).concat();
        let found: String = found.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(found, text, "{encoding}");
    }
}
