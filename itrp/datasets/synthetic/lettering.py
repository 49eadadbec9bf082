"""What stands on posters and screenshots. All of it is made up."""

TITLES = (
    "Harbour Jazz Festival",
    "Spring Book Fair",
    "Open Mic Evening",
    "Charity Fun Run",
    "Farmers Market",
    "Robotics Workshop",
    "Winter Ball",
    "Chess Tournament",
    "Film Marathon",
    "Science Slam",
    "Vintage Sale",
    "Pottery Class",
    "Blood Donation Drive",
    "Careers Expo",
    "Poetry Reading",
    "Beach Cleanup",
    "Comedy Gala",
    "Street Food Carnival",
    "Yoga Retreat",
    "Startup Pitch Contest",
    "Choir Concert",
    "Quiz Championship",
)

DETAILS = (
    "Saturday 14 May",
    "Sunday 3 July",
    "Friday 22 April",
    "Thursday 9 June",
    "Town Hall",
    "Oak Park",
    "Riverside Arena",
    "Central Library",
    "Doors open 7 PM",
    "Starts 10 AM",
    "Free entry",
    "Tickets 12 dollars",
    "Register online",
    "Pier Nine",
    "Students half price",
    "Limited seats",
)

QUOTES = (
    "Dreams need courage",
    "Silence speaks volumes",
    "Kindness costs nothing",
    "Progress over perfection",
    "Collect memories not objects",
    "Courage beats comfort",
    "Storms build stronger sailors",
    "Small steps big journeys",
    "Discipline creates freedom",
    "Attitude shapes altitude",
    "Failure teaches winners",
)
"""Sayings of which every content word stands in the tweet when the image repeats it."""

CHAT_NAMES = (
    "Carla",
    "Boss",
    "Landlord",
    "Group project",
    "Dr. Weber",
    "Cousin Vic",
    "Coach",
    "Pizzeria Roma",
    "Delivery",
    "Emil",
)

CHAT_LINES = (
    "did you lock the garage",
    "bring the invoice tomorrow",
    "train delayed 40 minutes",
    "the exam moved to Tuesday",
    "your parcel left Hamburg",
    "he resigned an hour ago",
    "rent goes up in March",
    "we landed in Lisbon",
    "the server crashed twice",
    "password is on the fridge",
    "meeting cancelled again",
    "she passed the audition",
    "bus leaves at six sharp",
    "buy milk and batteries",
    "the plumber comes Monday",
    "i lost the car keys",
    "your haircut is at noon",
    "mail me the contract",
)

HEADLINES = (
    "Council approves tram extension",
    "Scientists map hidden glacier lake",
    "Port strike enters second week",
    "Museum recovers stolen painting",
    "Heavy storm cuts power in suburbs",
    "Bank lowers mortgage rates",
    "Rookie goalkeeper saves penalty final",
    "Airline cancels forty flights",
    "Vaccine trial reports early results",
    "Bakery chain recalls bread",
    "Parliament votes on rail reform",
    "Volcano forces village evacuation",
)

BYLINES = (
    "By our correspondent in Vienna",
    "Updated 40 minutes ago",
    "Photo gallery and interview inside",
    "Officials confirmed on Tuesday",
    "Five facts behind the story",
    "Our editor comments",
)
"""What stands under a headline."""

LISTS: dict[str, tuple[str, ...]] = {
    "Timetable": (
        "Platform 4 Vienna 08:02",
        "Platform 7 Prague 09:40",
        "Platform 2 Graz 10:15",
        "Platform 9 Zurich 11:50",
        "Platform 1 Brno 12:26",
    ),
    "Fixtures": (
        "Rovers 2 - 1 Albion",
        "United 0 - 0 Rangers",
        "Athletic 3 - 3 Wanderers",
        "Olympia 1 - 4 Dynamo",
        "Victoria 2 - 0 Lokomotiv",
    ),
    "Shopping list": (
        "Onions, garlic, rice",
        "Detergent",
        "Sponges",
        "Lentils and oats",
        "Toothpaste",
        "Olive oil",
    ),
    "Sprint results": ("Okafor 10.12", "Lindqvist 10.31", "Moreau 10.38", "Tanaka 10.44", "Silva 10.52"),
    "Exam schedule": (
        "Biology 09:15 hall B",
        "Physics 13:30 hall D",
        "Latin 10:00 hall A",
        "Geography 15:45 hall C",
        "Algebra 08:30 hall F",
    ),
    "Forecast": (
        "Tuesday cloudy 14 C",
        "Wednesday thunder 19 C",
        "Thursday fog 11 C",
        "Friday drizzle 12 C",
        "Saturday hail 9 C",
    ),
    "Lunch menu": (
        "Lentil soup 4.50",
        "Grilled salmon 11.90",
        "Mushy peas 3.20",
        "Roast potatoes 5.10",
        "Spinach pie 6.80",
    ),
    "Playlist": (
        "1 Northern Lights",
        "2 Paper Trains",
        "3 Velvet Static",
        "4 Copper Rain",
        "5 Hollow Avenue",
    ),
}
"""Rows of a list by its title."""

CHART_TITLES = (
    "Unemployment by region",
    "Votes per party",
    "Rainfall in millimetres",
    "Downloads per quarter",
    "Average commute minutes",
    "Budget by department",
)

CHART_BARS = (
    "North",
    "South",
    "East",
    "Coast",
    "Q1 210",
    "Q2 340",
    "Q3 190",
    "Greens",
    "Liberals",
    "Labour",
    "Health",
    "Schools",
)
