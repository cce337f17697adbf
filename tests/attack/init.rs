//! What PID 1 holds, and what is bound from the host.
