//! One sentence at one node.
