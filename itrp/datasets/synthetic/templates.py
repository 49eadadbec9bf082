"""The sentences of the synthetic tweets, with gaps. Nothing here is taken from a real tweet."""

DESCRIBE_ONE = (
    "a {adj} {a} {where}",
    "Spotted this {adj} {a} {where} this morning",
    "Look at this {a}!",
    "{person} got a {adj} {a}",
    "My {a} {where}",
    "Here is the {adj} {a} I told you about",
    "Just one {adj} {a} {where}, nothing else",
    "Finally bought a {a}!",
    "Found a {adj} {a} {where} on the way home",
    "{person} and the {adj} {a}",
    "Meet our new {a}, so {adj}",
    "That {a} {where} though",
    "Drew a {a} for {person}",
    "The {a} is ready",
    "Who left a {a} {where}?",
    "A {adj} {a} for breakfast company",
    "The {adj} {a} says hello",
    "Close up of the {a} {where}",
    "For sale: {adj} {a}, hardly used",
    "{person} photographed a {a} {where}",
    "There is a {a} {where} and it is {adj}",
)
"""Templates that name one thing."""

DESCRIBE_TWO = (
    "A {a} and a {b} {where}",
    "The {a} next to the {b}",
    "{person} with the {a} and a {adj} {b}",
    "My {a} found a {b} {where}",
    "{adj} {a}, {adj} {b}, what a view",
    "First the {a}, now the {b} {where}",
    "Our {a} loves the {adj} {b}",
    "Just a {a} and a {b} {where}",
    "Saw a {a} behind the {b} {where}",
)
"""Templates that name two things."""

DESCRIBE_THREE = (
    "A {a}, a {b} and a {c} {where}",
    "The {a}, the {b} and the {adj} {c}",
    "{person} packed a {a}, a {b} and a {c}",
    "One {a}, one {b}, one {c}: ready",
    "All we need: {a}, {b}, {c}",
    "Today {where}: {a}, {b} and {c}",
)
"""Templates that name three things."""

DESCRIBE_SETTING = (
    "The {s} this morning",
    "Nothing but {s} today",
    "Woke up to this {s}",
    "Early walk, just the {s} and me",
    "I love the {s} so much",
    "The {adj} {s} at last",
    "Quiet {s} after the rain",
    "Missing the {s} already",
    "Nobody out here, only {s}",
)
"""Templates that name a setting."""

TERSE = (
    "{a} lol",
    "this {a} is me today",
    "mood: {a}",
    "i cant even... {a}",
    "so much {a} energy rn",
    "ok but the {a}??",
    "{a}. that is all",
    "me as a {a} honestly",
    "why is it always the {a} lol",
    "{a} life, no regrets",
    "dont talk to me before {a}",
    "best day ever thanks to a {a}",
    "feeling like that {a} today tbh",
    "when ur week needs a {a}",
)
"""Talk with one concrete word in it."""

HINT = (
    "Guess who came along with the {a}",
    "Look what my {a} is hiding",
    "The {a} brought company!",
    "Not only the {a} today",
    "You won't believe what stood beside the {a}",
    "So the {a} has a new friend {where}",
    "What is that next to the {a}??",
    "The {a} and the surprise {where}",
    "Find the odd one out besides the {a}",
)
"""Templates that name a thing and leave the rest to the image."""

TALK = (
    "I can't believe how fast this {period} went",
    "honestly {feeling} about everything right now",
    "you know who you are, thank you",
    "Some people will never understand and that's fine",
    "Never give up on what you want most",
    "{period} goals. who is with me",
    "so {feeling} after talking to {person}",
    "why does this always happen to me",
    "Can't stop laughing, {person} is the worst",
    "Good things take time. Be patient.",
    "this is exactly what I needed today",
    "I have no words",
    "Who else feels {feeling} this {period}?",
    "Thanks for all the support, means the world to me",
    "Be kind. Always.",
    "if you ever feel {feeling} read this",
    "I swear {person} did it again",
    "Trust the process and keep moving forward",
    "still thinking about what {person} said",
    "Best {period} of my life, no doubt",
    "literally me every single {period}",
    "not sure how I feel about this",
    "Could really use a nap and some luck",
    "Please retweet, this matters",
    "People change and so do promises",
    "Happy to be here. {feeling} and grateful",
    "am I the only one who thinks so",
    "This just made my whole {period}",
    "It is what it is I guess",
    "You have to see this",
    "My opinion will not change, sorry",
    "too {feeling} to function",
    "that moment when nobody answers",
    "Miss you so much {person}",
    "proud of what we have done this {period}",
    "Do what you love and never apologise",
    "Follow me and I follow back",
    "How is it only the middle of the {period}",
    "learn something every {period}, stay curious",
    "No excuses. Work hard. Stay humble.",
    "{person} asked and I said yes",
    "the truth always comes out",
    "wish I had known this sooner",
    "Ok I need advice, anyone awake?",
    "we did it!! so {feeling}",
    "What would you do? Serious answers only",
    "Life is too short to be {feeling}",
    "I'm {feeling} and I don't care who knows it",
    "shout out to {person} for being there",
    "guess I was wrong about {person}",
    '"never again" she said, and did it again',
    "my answer to everything: ¯\\_(ツ)_/¯",
    "Dear {period}, please end",
    "So this happened...",
    "Let that sink in",
    "there are two kinds of people",
    "say what you want, I'm {feeling}",
)
"""Talk that names nothing one could see."""

ANNOUNCE = (
    "{title} is coming!",
    "Join us for {title}",
    "Don't miss {title}",
    "See you at {title}?",
    "We are hosting {title} again, tell your friends",
    "{title}: all you need to know",
    "Very proud to announce {title}",
    "Get ready for {title}",
)
"""Templates that name an event by its title."""

ANNOUNCE_ALL = (
    "{title}, {details}",
    "{title} - {details}. Be there!",
    "Reminder: {title}, {details}",
    "It's official: {title}! {details}",
)
"""Templates that repeat everything a poster says."""

QUOTE_FRAMES = ('"{quote}"', "{quote}.", "{quote}!!", "Remember: {quote}", "{quote} - words to live by")
