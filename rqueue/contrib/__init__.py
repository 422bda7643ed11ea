"""What connects rqueue with other libraries; each part needs an extra of its own."""
