//! Figures for recorded sound: how alike two recordings are, and how good one is.
