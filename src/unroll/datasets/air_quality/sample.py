"""Simulated air over four sites: weather, traffic, and plumes that the wind carries from site to site.

Nothing is taken from the real series: the constants are round numbers that give levels, cycles and persistence of the
same order. Shapes: H hours, S sites, V variables (PM10, NO, NO2, O3, SO2).
"""

import numpy as np

# From west to east the sites are reached by a west wind after 0, 1, 2 and 3 hours, by an east wind in reverse.
PLACE_S = np.array([1, 0, 3, 2])  # GEltham, GWesthorne, BSladeGreen, GWoolwich
ROAD_S = np.array([0.35, 0.75, 0.25, 1.5])  # how near the traffic is
NOISE_V = np.array([1.7, 0.3, 0.8, 0.8, 0.08])  # of the instruments, µg/m³
RUSH_WEEKDAY = (3, 2, 2, 2, 3, 8, 16, 26, 27, 21, 18, 17, 17, 17, 18, 20, 24, 27, 24, 17, 12, 9, 7, 5)
RUSH_WEEKEND = (7, 5, 4, 3, 3, 4, 5, 7, 10, 13, 16, 18, 19, 19, 18, 18, 18, 17, 16, 14, 12, 10, 9, 8)


def simulate(times_H: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Concentrations (S, H, V) in µg/m³, rounded to 0.1 as the instruments do."""
    hours = len(times_H)
    hour_H = times_H.astype(np.int64) % 24
    weekday_H = (times_H.astype(np.int64) // 24 + 3) % 7
    season_H = np.cos(2 * np.pi * (times_H.astype(np.int64) / 8766 - 0.05))  # 1 in January
    sun_H = np.clip(np.sin(2 * np.pi * (hour_H - 7) / 24) + 0.25 - 0.45 * season_H, 0, None)

    weather_HK = _wander(rng.standard_normal((hours, 3)), np.array([0.985, 0.94, 0.97]))
    east_H = 1 / (1 + np.exp(-4 * (weather_HK[:, 0] - 0.3)))  # share of the air that comes with an east wind
    mixing_H = np.exp(0.45 * weather_HK[:, 1] - 0.25 * season_H) * (0.6 + 0.6 * sun_H)
    regional_H = np.exp(0.5 * weather_HK[:, 2] + 0.35 * east_H + 0.15 * season_H)

    rush_H = np.where(weekday_H < 5, np.array(RUSH_WEEKDAY)[hour_H], np.array(RUSH_WEEKEND)[hour_H]) / 14
    jam_HS = np.exp(0.25 * _wander(rng.standard_normal((hours, 4)), np.full(4, 0.85)))
    road_HS = rush_H[:, None] * jam_HS * ROAD_S / np.sqrt(mixing_H + 0.2)[:, None]
    plume_HS = _plumes(hours, east_H, rng)

    nox_HS = 60 * road_HS**1.2 / (mixing_H + 0.3)[:, None] + 4
    o3_clean_H = (46 - 14 * season_H) * (0.75 + 0.5 * np.sqrt(sun_H))
    titrated_HS = np.minimum(o3_clean_H[:, None] * 0.97, 1.1 * nox_HS**0.72)
    values_HSV = np.stack(
        [
            2.5 + 7.5 * regional_H[:, None] + 6 * road_HS + plume_HS,
            nox_HS * 0.55 * nox_HS / (nox_HS + titrated_HS),
            3 + 0.9 * titrated_HS + 0.06 * nox_HS,
            o3_clean_H[:, None] - titrated_HS,
            0.5 + 0.8 * east_H[:, None] + 0.03 * plume_HS + 0.2 * regional_H[:, None],
        ],
        axis=2,
    )
    spikes_HS = (rng.random((hours, 4)) < 0.001) * rng.lognormal(3.2, 0.7, (hours, 4))
    values_HSV[:, :, 0] += spikes_HS
    values_HSV += NOISE_V * rng.standard_normal(values_HSV.shape)
    return np.round(values_HSV, 1).transpose(1, 0, 2)


def _plumes(hours: int, east_H: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Episodes that start anywhere upwind, last some hours, and pass over site after site with the wind: (H, S)."""
    starts_H = (rng.random(hours) < 1 / 14) * rng.lognormal(2.6, 0.55, hours)
    plume_HK = _wander(np.column_stack([starts_H, starts_H]), np.array([0.55, 0.8]), scaled=False)
    plume_H = np.convolve(plume_HK.mean(axis=1), [0.3, 0.4, 0.3])[:hours]
    with_east_HS = np.stack([_delay(plume_H, 3 - place) for place in PLACE_S], axis=1)
    with_west_HS = np.stack([_delay(plume_H, place) for place in PLACE_S], axis=1)
    return east_H[:, None] * with_east_HS + (1 - east_H[:, None]) * with_west_HS


def _delay(values_H: np.ndarray, hours: int) -> np.ndarray:
    return np.concatenate([np.full(hours, values_H[0]), values_H[: len(values_H) - hours]])


def _wander(shocks_HK: np.ndarray, keep_K: np.ndarray, *, scaled: bool = True) -> np.ndarray:
    """First-order autoregression of each column; ``scaled`` to unit variance for unit shocks."""
    states_HK = np.empty_like(shocks_HK)
    state_K = shocks_HK[0]
    gain_K = np.sqrt(1 - keep_K**2) if scaled else np.ones_like(keep_K)
    for hour, shock_K in enumerate(shocks_HK):
        state_K = keep_K * state_K + gain_K * shock_K
        states_HK[hour] = state_K
    return states_HK
