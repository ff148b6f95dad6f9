"""Networks: recurrent layers and what is built from them. Knows neither data nor training."""
