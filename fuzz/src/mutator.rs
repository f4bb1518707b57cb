//! Inputs from inputs, the same for the same seed.

/// Makes inputs out of a corpus and words.
#[derive(Debug)]
pub struct Mutator<'a> {
    corpus: Vec<Vec<u8>>,
    words: &'a [&'a str],
    state: u64,
}

/// Inputs are not made longer than this.
const LONGEST: usize = 4096;

impl<'a> Mutator<'a> {
    /// A mutator; a corpus without inputs begins with the empty one.
    pub fn new(seed: u64, mut corpus: Vec<Vec<u8>>, words: &'a [&'a str]) -> Self {
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        Self { corpus, words, state: seed | 1 }
    }

    /// The next input: one of the corpus with a few changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let pick = self.below(self.corpus.len());
        let mut input = self.corpus[pick].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(24) + 1);
        match self.below(8) {
            0 => input.insert(at, self.byte()),
            1 => drop(input.drain(at..end)),
            2 if at < input.len() => input[at] = self.byte(),
            3 if at < input.len() => input[at] ^= 1 << self.below(8),
            4 => {
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            5 => {
                let other = self.below(self.corpus.len());
                let other = &self.corpus[other];
                let from = at.min(other.len());
                let piece = other[from..other.len().min(from + 64)].to_vec();
                input.splice(at..end, piece);
            }
            _ if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                input.splice(at..end, word.bytes());
            }
            _ => input.truncate(at),
        }
    }

    /// Mostly what texts are made of, sometimes anything.
    fn byte(&mut self) -> u8 {
        const PLAIN: &[u8] = b" \n\t\"'\\{}[](),.:;=-+*/?#@!%&|<>_0123456789abcxyzABCEmnuKMGi";
        match self.below(5) {
            0 => u8::try_from(self.below(256)).unwrap_or_default(),
            _ => PLAIN[self.below(PLAIN.len())],
        }
    }

    /// Below `limit`, which is not 0 (xorshift64*).
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(random).unwrap_or_default() % limit
    }
}
