"""Report → Mail → Delivery."""
