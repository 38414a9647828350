//! English words of telephone sales, without apostrophes (don't is `dont`).

use super::Class::{self, *};

pub(super) fn words() -> Vec<(String, Class)> {
    let mut all: Vec<(String, Class)> = Vec::new();
    let mut add = |class: Class, list: &str| {
        all.extend(list.split(',').map(|word| (word.trim().to_owned(), class)));
    };
    add(Positive, POSITIVE);
    add(More, MORE);
    add(Negative, NEGATIVE);
    add(Hard, HARD);
    add(Wh, WH);
    add(Mask, MASK);
    add(Transfer, TRANSFER);
    add(Tag, TAG);
    add(Employed, EMPLOYED);
    add(Business, BUSINESS);
    add(Contrast, "but, however, although, though");
    for not in NOT.split(',').map(str::trim) {
        for want in WANTS.split(',').map(str::trim) {
            all.push((format!("{not} {want}"), Negative));
        }
    }
    for not in AM_NOT.split(',').map(str::trim) {
        for want in KEEN.split(',').map(str::trim) {
            all.push((format!("{not} {want}"), Negative));
            all.push((format!("not that {not} {want}"), Positive));
        }
    }
    for double in NOT_NOT.split(',').map(str::trim) {
        for not in [
            "dont", "do not", "not", "im not", "i dont", "i am not", "i do not",
        ] {
            for want in WANTS.split(',').chain(KEEN.split(',')).map(str::trim) {
                all.push((format!("{double} {not} {want}"), Positive));
            }
        }
    }
    for bring in BRING.split(',').map(str::trim) {
        for human in HUMANS.split(',').map(str::trim) {
            all.push((format!("{bring} {human}"), Transfer));
        }
    }
    for i in [
        "i",
        "we",
        "i do",
        "we do",
        "i really",
        "i might",
        "i may",
        "i would",
        "id",
        "i could",
        "i actually",
        "i also",
        "i definitely",
    ] {
        for want in [
            "need",
            "want",
            "like to",
            "love to",
            "really need",
            "really want",
            "be interested",
        ] {
            all.push((format!("{i} {want}"), Positive));
        }
    }
    for own in ["own", "run", "have", "started", "opened", "set up"] {
        for article in [
            "a",
            "my own",
            "a small",
            "my",
            "our",
            "our own",
            "an online",
        ] {
            for place in PLACES.split(',').map(str::trim) {
                all.push((format!("{own} {article} {place}"), Business));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|(word, _)| !word.is_empty() && seen.insert(word.clone()));
    all
}

const NOT: &str = "dont, do not, dont really, do not really, dont think i, dont think we, dont even, didnt, did not, wouldnt, would not, wont, will not, no longer, never, cant, cannot, can not, doesnt, dont currently, not going to, not gonna, not looking to, not planning to";
const WANTS: &str = "need, want, want to, like, care, require, have time, have the time, have any interest, have any need, have money, have the money, think so, bother, be interested, use, buy, take, talk, talk now, talk right now, speak, do that, do this, accept, agree, afford, trust, believe, have a need";
const AM_NOT: &str = "not, im not, i am not, not really, not very, not that, not too, not particularly, not at all, not currently, no longer, never, werent, isnt, arent, am not";
const KEEN: &str = "interested, keen, looking for, looking, in the market, comfortable, convinced, happy, a good time, the right time, for me, now, today, right now, ready, available, free, buying, necessary, needed, at the moment, at this time, this time";
const NOT_NOT: &str = "not that, its not that, it is not that, not because, didnt say, did not say, never said, not saying, im not saying";

const POSITIVE: &str = "interested, im interested, i am interested, very interested, i need, we need, i want, we want, id like, i would like, id love, i would love, we would like, sounds good, sounds great, sounds interesting, sounds nice, sounds fine, sounds fair, that sounds, go ahead, please do, please go on, of course, why not, sure, sure thing, for sure, absolutely, definitely, certainly, gladly, no problem, no worries, not a problem, i dont mind, dont mind, i do not mind, wouldnt mind, would not mind, dont see why not, sign me up, count me in, lets do it, lets do that, lets go, lets talk, i agree, agreed, i accept, works for me, that works, good idea, great idea, happy to, id be happy, i could use, im looking for, i am looking for, ive been looking for, i was looking for, i was thinking of, perfect, great, excellent, wonderful, fantastic, awesome, all right, alright, fine by me, thats fine, that is fine, thats good, thats great, that would be great, that would be good, that would be nice, that would be helpful, book me, book it, put me down, schedule, set it up, set up a, yes please, please continue, not bad, tempting, couldnt say no, wouldnt say no, would not say no, cant say no";
const MORE: &str = "tell me more, tell me about, tell me a bit, tell me a little, let me know more, hear more, know more, learn more, find out more, more information, more details, more info, send me, send it, send them, email me, text me, whatsapp me, message me, add me, give me the details, give me some details, explain, walk me through, go on, keep going, continue, im listening to, lets hear it, i could listen, show me, give me a quote, get a quote";
const NEGATIVE: &str = "no thanks, no thank you, no need, no interest, no time, no money, said no, i said no, the answer is no, no means no, its a no, not interested, not for me, not now, not today, not right now, not at the moment, not at this time, not this time, not really, not necessary, not needed, no way, nope, nah, never mind, nevermind, forget it, ill pass, i will pass, i pass, pass on that, im good thanks, im good thank you, im fine thanks, im fine thank you, were good, were fine, im okay thanks, im ok thanks, im all set, all set, im busy, i am busy, busy, really busy, in a meeting, in the middle of, driving, at work right now, cant talk, cannot talk, cant speak, bad time, not a good time, no good time, bad moment, call later, call back later, call me later, call me back, call back, call again later, another time, some other time, maybe later, later maybe, next time, in a hurry, in a rush, dont have time, dont have the time, already have, already got, i have one, we have one, have one already, got one already, already signed, already bought, already done, already with, wrong number, wrong person, too expensive, too much money, too high, cant afford, cannot afford, a waste, waste of time, waste my time, not worth, scam, scammer, spam, fraud, bye, bye bye, goodbye, good bye, hang up, hanging up, have to go, gotta go, got to go, have a good day, have a nice day, refuse, decline, dont think so, do not think so, i doubt it, unnecessary, uninterested";
const HARD: &str = "dont call, do not call, dont call me, never call, stop calling, stop bothering, stop phoning, stop ringing, stop harassing, quit calling, please stop, remove me, remove my, take me off, take my number off, off your list, delete my number, delete me, block you, blocking, leave me alone, go away, get lost, unsubscribe, report you, reporting you, complain, complaint, lawyer, police, sue you, harassment, harassing, do not contact, dont contact, dont ring, do not ring, dont phone, dont bother me, do not bother me, fuck off, piss off, screw you, shut up, lose my number, none of your business";
const WH: &str = "how much, how many, how long, how do, how does, how did, how can, how could, how would, how will, how is, how soon, how often, how fast, how old, how big, how high, how about, how come, what is, whats, what are, what do, what does, what did, what kind, what sort, what type, what about, what if, what would, what will, what can, what documents, what company, what rate, what time, what else, what for, what happens, what makes, which, where is, where are, where do, where did, where does, where can, where about, whereabouts, wheres, when is, when can, when do, when does, when will, when would, who gave, who owns, who runs, who told, who do, who does, who sent, who can, whos your, who is your, whose, why are, why do, why is, why did, why would, why should, why me, why does";
pub(super) const FIRST_WORDS: &str = "what, how, where, when, why, which, who, whose, is, are, am, was, were, do, does, did, can, could, will, would, should, may, shall, has, have, isnt, arent, dont, doesnt, whats, hows, wheres, whens, whos";
const MASK: &str = "who is this, who is it, whos this, who is that, whos that, who are you, who is calling, whos calling, who am i speaking, who am i talking, who do you want, who do you wish, who do i have, may i ask who, can i ask who, whos speaking, who is speaking, can you hear me, do you hear me, are you there, you there, anybody there, anyone there, can hear you, cant hear, cant hear you, cannot hear, couldnt hear, can barely hear, didnt hear, did not hear, didnt catch, did not catch, didnt get that, didnt understand, dont understand, do not understand, dont follow, dont know, do not know, dont get it, not sure, im not sure, i am not sure, no idea, have no idea, say that again, say it again, say again, come again, repeat that, repeat please, can you repeat, could you repeat, could you speak, can you speak, speak up, speak louder, speak slower, slow down, what did you say, what was that, what is it, pardon, pardon me, excuse me, sorry, im sorry, i see, i get it, got it, i understand, really, is that so, is that right, are you sure, you know what, let me think, let me see, think about it, think it over, i will think, ill think, have to think, need to think, want to think, talk to my, ask my, check with my, how are you, how are you doing, how do you do, hows it going, whats up, good morning, good afternoon, good evening, hold on, one moment, just a moment, one second, just a second, just a minute, one minute, wait, wait a minute, hang on, need to check, need to see, i need a moment, i want to ask, id like to ask, i would like to ask, no doubt, no wonder, great weather, great day, what a, sort of, kind of, you never know, it depends, that depends, im listening, i am listening, do i know you, have we met, dont worry, not working";
const TRANSFER: &str = "speak to a human, talk to a human, speak with a human, talk with a human, speak to a person, talk to a person, speak with a person, speak to someone, talk to someone, speak with someone, speak to somebody, talk to somebody, real person, real human, live agent, live person, human agent, human being please, a human please, an agent please, speak to an agent, talk to an agent, speak with an agent, speak to agent, customer service, customer support, representative, operator, transfer me, put me through, connect me, your manager, your supervisor, a manager, a supervisor, speak to the manager";
const TAG: &str = "is that ok, is that okay, would that be ok, if thats ok, if you dont mind";
const EMPLOYED: &str = "employed, employee, im an employee, office job, office worker, work for a company, work at a company, work in a company, work for someone, work in an office, work in a factory, work at a factory, working for, i work for, i work at, i work in, we work for, have a job, got a job, full time job, full time, part time, nine to five, salaried, on a salary, on salary, wage, wages, government job, civil servant, teacher, nurse, doctor, engineer, accountant, driver, clerk, secretary";
const BUSINESS: &str = "self employed, business, small business, own business, my own business, run a business, business owner, businessman, businesswoman, own a shop, run a shop, own a store, run a store, own a company, run a company, run my own, have my own, own boss, my own boss, entrepreneur, freelancer, freelance, startup, trader, shop owner, own a restaurant, run a restaurant, founder, work for myself, sole trader, contractor";

const BRING: &str = "get me, give me, i want, i need, let me talk to, let me speak to, let me speak with, can i talk to, can i speak to, can i speak with, speak to, talk to, speak with, talk with, put me through to, connect me to, connect me with, transfer me to, is there";
const HUMANS: &str = "a human, a human being, a real human, a person, a real person, an actual person, an agent, a live agent, a manager, the manager, your manager, a supervisor, your supervisor, your boss, customer service, a representative, an operator, the operator, someone else, somebody else, someone real";
const PLACES: &str = "shop, store, business, company, restaurant, firm, factory, startup, cafe, bar, salon, garage, hotel, studio, farm, bakery, practice";

pub(super) const WEAK_YES: &str = "yes, yeah, yep, yup, ya, aye, ok, okay, right, correct, true, fine, good, nice, cool, sure, indeed, exactly, speaking, thats me, this is he, this is she, it is, i am, i do, i have, i would, thats right, that is right, thats correct, uh huh yes";
pub(super) const WEAK_NO: &str = "no, not, none, nothing, i dont, i do not, i havent, i have not, im not, i am not, i wouldnt, it isnt, thats wrong";
/// These count at the front of a clause too, whatever follows.
pub(super) const FRONT: &str = "yes, yeah, yep, yup, sure, ok, okay, exactly, indeed, no, nope";
pub(super) const FILLERS: &str = "um, uh, er, erm, hmm, hm, mm, mhm, well, so, oh, ah, hi, hello, hey, the, a, an, i, it, that, this, just, then, and, thanks, thank you, thank you very much, thanks a lot, thank you so much, sir, madam, maam, man, dear, please, sorry, very, much, actually, honestly, you, me, my, now, today, is, of, to, for, too, also, there, huh, uhhuh, mmhmm, still, really, all, here";
pub(super) const BACKCHANNEL: &str =
    "um, uh, er, erm, hmm, hm, mm, mhm, oh, ah, hi, hello, hey, huh, uhhuh, mmhmm, uh huh";
pub(super) const UNFINISHED: &str = "but, and, because, so, if, or, then, well, um, uh, the, a, my, your, i, is, what, how, to, with, i want to ask, id like to ask, can i, could you, i just";
