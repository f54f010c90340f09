"""The words that clusters are named with, unless somebody gives others."""

from __future__ import annotations

WORDS = (
    *("people", "a crowd", "a child", "a baby", "a face", "hands", "an interview", "a speech"),
    *("a meeting", "a lecture", "an audience", "a news studio", "a press conference"),
    *("a protest", "a parade", "a wedding", "a party", "dancing", "a concert", "singing"),
    *("a guitar", "a piano", "drums", "an orchestra", "a theatre stage", "a museum"),
    *("football", "basketball", "tennis", "swimming", "running", "cycling", "skiing"),
    *("skateboarding", "surfing", "climbing", "gymnastics", "boxing", "golf", "a stadium"),
    *("cooking", "eating", "a kitchen", "a restaurant", "fruit", "vegetables", "bread", "a cake"),
    *("coffee", "a drink", "a market", "a shop", "clothes", "make-up", "jewellery"),
    *("a car", "a bus", "a truck", "a motorcycle", "a bicycle", "a train", "an aeroplane"),
    *("a helicopter", "a boat", "a ship", "a rocket", "traffic", "a road", "a motorway"),
    *("a bridge", "a tunnel", "a railway station", "an airport", "a harbour", "a street"),
    *("a city", "a skyline", "a skyscraper", "a house", "a church", "a castle", "a ruin"),
    *("a factory", "a building site", "a laboratory", "a hospital", "a school", "an office"),
    *("a computer screen", "a telephone", "a robot", "a machine", "tools", "a workshop"),
    *("a book", "text on the screen", "a map", "a chart", "a logo", "a title card", "credits"),
    *("a cartoon", "computer graphics", "a drawing", "a painting", "a sculpture", "a pattern"),
    *("a forest", "trees", "flowers", "grass", "a garden", "a park", "a field", "a farm"),
    *("a mountain", "snow", "ice", "a glacier", "a desert", "a beach", "the sea", "waves"),
    *("a river", "a waterfall", "a lake", "rain", "clouds", "the sky", "a sunset", "the night"),
    *("the moon", "stars", "the earth from space", "fire", "smoke", "an explosion", "fireworks"),
    *("a flood", "a storm", "rubble", "soldiers", "police", "a fire engine", "an ambulance"),
    *("a dog", "a cat", "a horse", "a cow", "sheep", "birds", "a fish", "an insect", "a snake"),
    *("an elephant", "a lion", "a bear", "a monkey", "underwater", "a coral reef"),
    *("a living room", "a bedroom", "a corridor", "stairs", "a window", "a door", "a toy"),
    *("a game", "money", "a flag", "a uniform", "a black screen", "a blurred picture"),
)
