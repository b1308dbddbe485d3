#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, u8, &str)| faq_fuzz::cut(input.0, input.1, input.2));
