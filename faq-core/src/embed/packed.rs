//! Texts that go through the encoder together, one after the other.

/// Tokens of a batch: enough that the products are worth their set-up, few enough that a
/// cancel is heard soon and the activations stay in the cache.
pub(super) const BATCH_TOKENS: usize = 1024;

/// The ids of a text, or of a pair of texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids<'a> {
    pub(super) all: &'a [u32],
    /// Where the pair's second text begins; as many as there are ids where there is none.
    pub(super) second: usize,
}

impl<'a> Ids<'a> {
    /// A text by itself.
    pub(super) fn one(all: &'a [u32]) -> Self {
        Self {
            all,
            second: all.len(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Puts texts of these lengths together, the longest first, so that each batch has at most `most`
/// tokens, or one text.
pub(super) fn batches(lengths: &[usize], most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(lengths[text]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for text in order {
        match batches.last_mut() {
            Some(batch) if tokens + lengths[text] <= most => batch.push(text),
            _ => {
                tokens = 0;
                batches.push(vec![text]);
            }
        }
        tokens += lengths[text];
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::{BATCH_TOKENS, batches};

    #[test]
    fn each_text_is_in_one_batch_and_none_is_too_full() {
        let lengths: Vec<usize> = (0..200).map(|i| 1 + i * 37 % 1500).collect();
        let batches = batches(&lengths, BATCH_TOKENS);
        for batch in &batches {
            let tokens: usize = batch.iter().map(|&text| lengths[text]).sum();
            assert!(tokens <= BATCH_TOKENS || batch.len() == 1);
        }
        let mut texts = batches.concat();
        texts.sort_unstable();
        assert_eq!(texts, (0..200).collect::<Vec<_>>());
    }
}
