"""From text to weighted words: tokenizer, stop words, vocabulary, weightings."""
